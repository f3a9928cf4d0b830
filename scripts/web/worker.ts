/** The service worker of the hosted page: with it the page opens without a network, and fetches nothing else ever. */
export function workerScript(version: string, hash: string, files: readonly string[]): string {
  return `// The page of tock ${version}, kept so that it opens without a network. Nothing else is fetched, and nothing of it is sent.
const CACHE = "tock-${hash}";
const FILES = ${JSON.stringify(files)};

self.addEventListener("install", (event) => {
  const fresh = FILES.map((file) => new Request(file, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name.startsWith("tock-") && name !== CACHE);
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((name) => caches.delete(name)))));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((hit) => hit ?? fetch(event.request)));
});
`;
}
