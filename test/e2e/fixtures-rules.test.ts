import { tryFixtures } from "../support/fixtures.ts";
import { RULESETS } from "../lab/firewalls/rulesets.ts";

tryFixtures(RULESETS);
