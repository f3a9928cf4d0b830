import { inspect } from "node:util";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeEnrolment, encodeEnrolment, LINK_PREFIX } from "../../../shared/enrolment.ts";
import { unwrap } from "../../../shared/result.ts";
import { enrolment } from "./arbitraries.ts";

test("an enrolment comes back from its link, and from a page's link", () => {
  fc.assert(
    fc.property(
      enrolment,
      fc.constantFrom(undefined, "https://tock.example/", "file:///tmp/tock.html"),
      (value, page) => {
        const link = encodeEnrolment(value, page);
        expect(link.startsWith(page === undefined ? LINK_PREFIX : `${page}#`)).toBe(true);
        const decoded = unwrap(decodeEnrolment(link));
        expect({ ...decoded, secret: undefined }).toEqual({ ...value, secret: undefined });
        expect(decoded.secret.expose()).toEqual(value.secret.expose());
      },
    ),
  );
});

test("a damaged link gives an error that holds no part of it", () => {
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat(20),
    put: fc.string({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(enrolment, damage, (value, { at, drop, put }) => {
      const link = encodeEnrolment(value);
      const start = Math.floor(at * link.length);
      const damaged = link.slice(0, start) + put + link.slice(start + drop);
      const decoded = decodeEnrolment(damaged);
      if (decoded.ok) return;
      const shown = inspect(decoded.error, { depth: null, showHidden: true }) + JSON.stringify(decoded.error);
      const payload = link.slice(LINK_PREFIX.length);
      for (let from = 0; from + 12 <= payload.length; from += 3)
        expect(shown).not.toContain(payload.slice(from, from + 12));
      expect(shown).not.toContain(Buffer.from(value.secret.expose()).toString("base64url").slice(4, 20));
    }),
    { numRuns: 200 },
  );
});

test("any JSON in a link is taken or refused, and never throws", () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const link = LINK_PREFIX + Buffer.from(json, "latin1").toString("base64url");
      expect(decodeEnrolment(link).ok).toBe(false);
    }),
  );
});

test("any value in any field is taken or refused, and never throws", () => {
  fc.assert(
    fc.property(enrolment, fc.nat(20), fc.jsonValue(), (value, index, bad) => {
      const payload = JSON.parse(
        Buffer.from(encodeEnrolment(value).slice(LINK_PREFIX.length), "base64url").toString("latin1"),
      ) as Record<string, unknown>;
      const keys = Object.keys(payload);
      const key = keys[index % keys.length] ?? "";
      const json = JSON.stringify({ ...payload, [key]: bad });
      const decoded = decodeEnrolment(LINK_PREFIX + Buffer.from(json, "latin1").toString("base64url"));
      if (!decoded.ok) expect(decoded.error.code).toBe("invalid");
    }),
    { numRuns: 500 },
  );
});
