#!/usr/bin/env node
import { Command } from "commander";
import { VERSION } from "../shared/version.ts";

const program = new Command("tock")
  .description("open a port that does not exist until the right device asks")
  .version(VERSION);

await program.parseAsync();
