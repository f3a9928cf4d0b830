/** Runs `work` while no other tab of this page runs anything under the same name. */
export async function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = (navigator as Partial<Navigator>).locks;
  return locks === undefined ? await work() : await locks.request(`tock ${name}`, work);
}
