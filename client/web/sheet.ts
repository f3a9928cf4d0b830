import { h } from "./dom.ts";

/** A panel that comes up from the bottom, where a thumb is. Escape and a tap beside it close it. */
export class Sheet {
  readonly dialog: HTMLDialogElement;
  readonly body: HTMLElement;

  constructor(title: string, ...children: (Node | string)[]) {
    const id = `sheet-${crypto.randomUUID?.() ?? String(performance.now())}`;
    this.body = h("div", { class: "sheet-body" }, ...children);
    this.dialog = h(
      "dialog",
      { class: "sheet", "aria-labelledby": id },
      h("h2", { id, tabindex: -1 }, title),
      this.body,
    );
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.close();
    });
    this.dialog.addEventListener("close", () => this.dialog.remove());
  }

  show(): this {
    document.body.append(this.dialog);
    this.dialog.showModal();
    return this;
  }

  close(): void {
    this.dialog.close();
  }

  /** Resolves when it is closed, however. */
  closed(): Promise<void> {
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(), { once: true });
    });
  }
}

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly type?: "text" | "password" | "code" | "link" | "file";
  readonly value?: string;
  readonly autocomplete?: string;
  /** What is wrong with a value; undefined = nothing. */
  check?(value: string): string | undefined;
}

export type Values = Readonly<Record<string, string>>;

/** Asks for values in a sheet. Undefined when the user goes away. */
export async function ask(
  title: string,
  intro: readonly (Node | string)[],
  fields: readonly Field[],
  verb: string,
): Promise<Values | undefined> {
  let result: Values | undefined;
  const form = makeForm(fields, verb, (values) => {
    result = values;
    sheet.close();
  });
  const sheet = new Sheet(title, ...intro, form).show();
  form.querySelector("input")?.focus();
  await sheet.closed();
  return result;
}

/** A form whose mistakes stand beside their fields. */
export function makeForm(
  fields: readonly Field[],
  verb: string,
  done: (values: Values) => void,
): HTMLFormElement {
  const inputs = fields.map((field) => ({ field, ...inputOf(field) }));
  return h(
    "form",
    {
      novalidate: true,
      submit: (event) => {
        event.preventDefault();
        const wrong = inputs.filter(({ field, input, error }) => {
          const mistake = field.check?.(input.value);
          error.textContent = mistake ?? "";
          input.setAttribute("aria-invalid", String(mistake !== undefined));
          return mistake !== undefined;
        });
        wrong[0]?.input.focus();
        if (wrong.length === 0)
          done(Object.fromEntries(inputs.map(({ field, input }) => [field.name, input.value])));
      },
    },
    ...inputs.map(({ element }) => element),
    h("button", { class: "primary", type: "submit" }, verb),
  );
}

function inputOf({ name, label, hint, type = "text", value = "", autocomplete = "off" }: Field) {
  const id = `field-${name}`;
  const error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
  const shared = {
    id,
    name,
    autocomplete,
    autocapitalize: "none",
    autocorrect: "off",
    spellcheck: "false",
    "aria-describedby": hint === undefined ? `${id}-error` : `${id}-hint ${id}-error`,
  };
  const input =
    type === "link"
      ? h("textarea", { ...shared, rows: 3 })
      : h("input", {
          ...shared,
          type: type === "code" ? "text" : type,
          inputmode: type === "code" ? "numeric" : undefined,
          maxlength: type === "code" ? 7 : undefined,
          class: type === "code" ? "code" : undefined,
        });
  input.value = value;
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint !== undefined && h("p", { class: "hint", id: `${id}-hint` }, hint),
    error,
  );
  return { input, error, element };
}

export function paragraphs(text: string, hints: readonly string[]): Node[] {
  const list = hints.length === 0 ? [] : [h("ul", {}, ...hints.map((hint) => h("li", {}, hint)))];
  return [h("p", {}, text), ...list];
}
