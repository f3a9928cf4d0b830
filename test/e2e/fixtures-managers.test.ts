import { tryFixtures } from "../support/fixtures.ts";
import { MANAGERS } from "../lab/firewalls/managers.ts";

tryFixtures(MANAGERS);
