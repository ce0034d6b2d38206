/**
 * The page's address is its state: what is shown, filtered, sorted and compared stands in path and query, so that every
 * view can be sent to somebody. Links are plain links; this turns those within the page into steps without a reload.
 */
// @ts-check

import { useEffect, useState } from "preact/hooks";

/** What is told when the address changed. */
const CHANGED = "chatgot-address";

/**
 * Goes to an address of the page.
 *
 * @param {string} address path and query
 * @param {boolean} [replace] whether it takes the place of the present one in the history, as a filter being typed does
 */
export function go(address, replace = false) {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  dispatchEvent(new Event(CHANGED));
}

/** The present address; whoever asks is drawn again when it changes. */
export function useAddress() {
  const [address, setAddress] = useState(() => new URL(location.href));
  useEffect(() => {
    const update = () => setAddress(new URL(location.href));
    addEventListener(CHANGED, update);
    addEventListener("popstate", update);
    return () => {
      removeEventListener(CHANGED, update);
      removeEventListener("popstate", update);
    };
  }, []);
  return address;
}

/**
 * The present address with other values in its query.
 *
 * @param {Record<string, string | string[] | boolean | undefined>} changes by key; undefined, false and "" remove it
 */
export function withQuery(changes) {
  const url = new URL(location.href);
  for (const [key, value] of Object.entries(changes)) {
    url.searchParams.delete(key);
    const values = value === true ? ["1"] : Array.isArray(value) ? value : value ? [value] : [];
    for (const each of values) url.searchParams.append(key, each);
  }
  return url.pathname + url.search;
}

/**
 * Changes the query of the present address.
 *
 * @param {Record<string, string | string[] | boolean | undefined>} changes as for `withQuery`
 * @param {boolean} [replace] as for `go`
 */
export function setQuery(changes, replace = true) {
  go(withQuery(changes), replace);
}

/**
 * The address of a run's page.
 *
 * @param {string} id
 */
export function runAddress(id) {
  return `/runs/${encodeURIComponent(id)}`;
}

/**
 * The address of an experiment's page.
 *
 * @param {string} id
 */
export function experimentAddress(id) {
  return `/experiments/${encodeURIComponent(id)}`;
}

/**
 * The address of a comparison.
 *
 * @param {string[]} ids
 */
export function compareAddress(ids) {
  return `/compare?${new URLSearchParams(ids.map((id) => ["run", id]))}`;
}

/** Makes links within the page steps of the page; those of files, new tabs and other sites stay what they are. */
export function followLinks() {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname.startsWith("/api/") || url.hash !== "") return;
    event.preventDefault();
    go(url.pathname + url.search);
    scrollTo(0, 0);
  });
}
