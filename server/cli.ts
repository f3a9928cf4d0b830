#!/usr/bin/env node
import { Command } from "commander";
import { VERSION } from "../shared/version.ts";

const program = new Command("tockd")
  .description("the daemon that keeps ports shut until the right device asks")
  .version(VERSION);

await program.parseAsync();
