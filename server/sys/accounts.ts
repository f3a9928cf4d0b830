import { readFileSync } from "node:fs";

/** The group's id by /etc/group; undefined where it does not exist. */
export function groupId(name: string): number | undefined {
  const line = linesOf("/etc/group").find((fields) => fields[0] === name);
  return idOf(line?.[2]);
}

/** The name of a group by /etc/group; undefined where it has none. */
export function groupName(id: number): string | undefined {
  return linesOf("/etc/group").find((fields) => idOf(fields[2]) === id)?.[0];
}

/** A user's id and main group by /etc/passwd; undefined where there is no such user. */
export function userIds(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const line = linesOf("/etc/passwd").find((fields) => fields[0] === name);
  const [uid, gid] = [idOf(line?.[2]), idOf(line?.[3])];
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** Groups that name the user as a member, by /etc/group. */
export function groupsOf(name: string): number[] {
  return linesOf("/etc/group").flatMap(([, , id, members = ""]) => {
    const group = members.split(",").includes(name) ? idOf(id) : undefined;
    return group === undefined ? [] : [group];
  });
}

function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
