import { tryFixtures } from "../support/fixtures.ts";
import { DOCKERS } from "../lab/firewalls/docker.ts";

tryFixtures(DOCKERS);
