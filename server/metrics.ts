import { createServer, type Server, type ServerResponse } from "node:http";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { AuditEvent } from "./core/event.ts";
import type { CaptureStats } from "./core/packet-source.ts";
import type { ClockState } from "./sys/clock.ts";
import type { TrailState } from "./store/audit-trail.ts";

/** What figures are read from when somebody asks for them. */
export interface MetricsSources {
  readonly drops: () => Readonly<Record<string, number>>;
  readonly capture: () => CaptureStats | undefined;
  readonly grantsOpen: () => number;
  readonly devices: () => number;
  readonly tags: () => number;
  readonly guard: () => "on" | "off" | "damaged" | "unknown";
  readonly clock: () => ClockState | undefined;
  readonly trail: () => TrailState;
  readonly version: string;
}

/** From 50 µs to 1 s. */
const BUCKETS = [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** The daemon's figures for Prometheus. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #events: Counter<"kind">;
  readonly #grants: Counter<"service" | "via">;
  readonly #refusals: Counter<"rule">;
  readonly #latency: Histogram;
  #isLastGood = false;
  #opened = 0;
  #refused = 0;

  constructor(sources: MetricsSources) {
    const registers = [this.#registry];
    this.#events = new Counter({
      name: "tock_events_total",
      help: "Events by kind",
      labelNames: ["kind"],
      registers,
    });
    this.#grants = new Counter({
      name: "tock_grants_total",
      help: "Grants opened, by service and by what asked for them",
      labelNames: ["service", "via"],
      registers,
    });
    this.#refusals = new Counter({
      name: "tock_refusals_total",
      help: "Authentic packets and knocks refused, by rule",
      labelNames: ["rule"],
      registers,
    });
    this.#latency = new Histogram({
      name: "tock_grant_seconds",
      help: "From a packet's arrival to the kernel's word that the grant is open",
      buckets: BUCKETS,
      registers,
    });
    this.#gather(sources);
  }

  get opened(): number {
    return this.#opened;
  }

  get refused(): number {
    return this.#refused;
  }

  /** Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A function of its own, to be handed around. */
  readonly handle = (event: AuditEvent): void => {
    this.#events.inc({ kind: event.kind });
    if (event.kind === "started") this.#isLastGood = event.mistakes !== undefined;
    else if (event.kind === "reloaded") this.#isLastGood = false;
    if (event.kind === "granted") {
      this.#opened++;
      this.#grants.inc({ service: event.service, via: event.via });
      if (event.via !== "command") this.#latency.observe(event.micros / 1e6);
    } else if (event.kind === "refused") {
      this.#refused++;
      this.#refusals.inc({ rule: event.rule });
    }
  };

  #gather(sources: MetricsSources): void {
    const registers = [this.#registry];
    const total = (
      name: string,
      help: string,
      values: () => Readonly<Record<string, number>>,
      label?: string,
    ): Counter => {
      // Totals are kept elsewhere; a counter takes them over when it is read.
      return new Counter({
        name,
        help,
        labelNames: label === undefined ? [] : [label],
        registers,
        collect() {
          this.reset();
          for (const [key, value] of Object.entries(values()))
            this.inc(label === undefined ? {} : { [label]: key }, value);
        },
      });
    };
    const gauge = (name: string, help: string, value: () => number | undefined): Gauge => {
      return new Gauge({
        name,
        help,
        registers,
        collect() {
          const now = value();
          if (now === undefined) this.remove();
          else this.set(now);
        },
      });
    };
    total("tock_drops_total", "Packets and knocks that led to nothing, by reason", sources.drops, "reason");
    total(
      "tock_capture_packets_total",
      "Packets that the kernel's filter let through, by what became of them",
      () => {
        const stats = sources.capture();
        return stats === undefined
          ? {}
          : { delivered: stats.delivered, refused: stats.refused, lost: stats.lost };
      },
      "outcome",
    );
    total("tock_journal_errors_total", "Packets not acted upon as they could not be written down", () => ({
      all: sources.drops()["journal"] ?? 0,
    }));
    total("tock_audit_lines_lost_total", "Audit lines given up", () => ({ all: sources.trail().lost }));
    gauge("tock_grants_open", "Grants open now", sources.grantsOpen);
    gauge("tock_devices", "Devices known", sources.devices);
    gauge("tock_tags_loaded", "Identity tags that packets may carry now", sources.tags);
    gauge("tock_audit_waiting", "Audit lines that wait to be written", () => sources.trail().waiting);
    gauge("tock_guard_on", "1 = the guard is on and whole", () => (sources.guard() === "on" ? 1 : 0));
    gauge(
      "tock_config_last_good",
      "1 = the configuration could not be used at the start, and is not yet",
      () => Number(this.#isLastGood),
    );
    gauge("tock_clock_synchronised", "1 = the kernel says that something keeps its clock right", () => {
      const clock = sources.clock();
      return clock && Number(clock.synchronised);
    });
    gauge(
      "tock_clock_offset_seconds",
      "What the clock is yet to be corrected by",
      () => sources.clock()?.offset,
    );
    gauge("tock_clock_max_error_seconds", "What the clock may be off by", () => sources.clock()?.maxError);
    // Worked out once: a clock that is set, or a rounding, would look like a restart.
    const started = Math.floor(Date.now() / 1000 - process.uptime());
    gauge("process_start_time_seconds", "Unix time of the start", () => started);
    gauge("process_resident_memory_bytes", "Memory in use", () => process.memoryUsage.rss());
    new Gauge({ name: "tock_build_info", help: "The version", labelNames: ["version"], registers }).set(
      { version: sources.version },
      1,
    );
  }
}

async function answer(response: ServerResponse, metrics: Metrics): Promise<void> {
  const text = await metrics.text();
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
}

/** Serves the figures at http://ADDRESS:PORT/metrics, where the configuration asks for it. */
export function serveMetrics(metrics: Metrics, address: string, port: number): Promise<Result<Server>> {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(404).end();
      return;
    }
    void answer(response, metrics);
  });
  server.maxConnections = 16;
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  return new Promise((resolve) => {
    // Errors that come once it listens fall silent here: a caller is not served, the others are.
    server.on("error", (error: NodeJS.ErrnoException) => {
      const hint = "choose another port for [metrics] listen";
      resolve(err(new TockError("io", `metrics: cannot listen on ${address}:${port}: ${error.code}`, hint)));
    });
    server.listen(port, address, () => resolve(ok(server)));
  });
}
