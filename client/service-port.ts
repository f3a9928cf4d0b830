import type { ServerInfo } from "../shared/enrolment.ts";
import { formatPortRange } from "../shared/port-range.ts";

export type Service = ServerInfo["services"][number];

/** The ports of a service as people write them: `tcp/22, udp/60000-61000`. */
export function portsOf(service: Service): string {
  return service.ports.map(formatPortRange).join(", ");
}

/** The first TCP port of a service; undefined where it has none. */
export function tcpPort(service: Service): number | undefined {
  return service.ports.find((range) => range.protocol === "tcp")?.first;
}

/** The service that a TCP port belongs to. */
export function serviceAt(info: ServerInfo, port: number): Service | undefined {
  return info.services.find((service) =>
    service.ports.some((range) => range.protocol === "tcp" && range.first <= port && port <= range.last),
  );
}

/** The service that ssh should use: one called ssh, else one with port 22, else the first with a TCP port. */
export function sshService(info: ServerInfo): Service | undefined {
  const named = info.services.find((service) => service.name === "ssh" && tcpPort(service) !== undefined);
  return named ?? serviceAt(info, 22) ?? info.services.find((service) => tcpPort(service) !== undefined);
}
