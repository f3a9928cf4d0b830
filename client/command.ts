import { type Arguments, type Given, type Options, parseArguments, type Shape } from "./args.ts";
import { Ui } from "./ui.ts";

/** A command of `tock`, as its file defines it. */
export interface Definition<O extends Options> extends Shape<O> {
  /** One line, lower case, no full stop. */
  readonly summary: string;
  /** Command lines that work, each with what it is for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[];
  /** More paragraphs of help. */
  readonly notes?: readonly string[];
  /** Does it, and gives the exit code. What is thrown as a TockError is printed for the user. */
  run(input: Arguments<O>, ui: Ui): Promise<number> | number;
}

/** A command whose options are known to itself only. */
export interface Command extends Omit<Definition<Options>, "run"> {
  main(argv: readonly string[]): Promise<number>;
}

export function defineCommand<const O extends Options>(definition: Definition<O>): Command {
  const command: Command = {
    ...definition,
    async main(argv) {
      const input = parseArguments(definition, argv);
      const common = input.given as Given<Options>;
      if (common["help"] !== undefined) {
        const { commandHelp } = await import("./help.ts");
        new Ui().text(commandHelp(command));
        return 0;
      }
      const flag = (name: string) => common[name] !== undefined;
      return definition.run(input, new Ui({ json: flag("json"), verbose: flag("verbose") }));
    },
  };
  return command;
}
