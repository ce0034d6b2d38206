/** Asking the server: answers as they come, kept while newer ones are on their way, and news of what changed. */
// @ts-check

import { useEffect, useRef, useState } from "preact/hooks";

/**
 * Asks once.
 *
 * @param {string} address
 * @param {RequestInit} [init]
 * @returns {Promise<any>} the answer; what the server has against it comes as an Error
 */
export async function ask(address, init = {}) {
  const response = await fetch(address, init);
  if (response.ok) return await response.json();
  const told = await response.json().catch(() => undefined);
  throw new Error(told?.error?.message ?? `the server answered ${response.status}`);
}

/**
 * Asks, and asks again when the address or `version` changes. Meanwhile the last answer stays. Another address ends the
 * question before; another version waits for its answer, so that news that come faster than answers do not starve them.
 *
 * @template T
 * @param {string | undefined} address undefined: nothing to ask
 * @param {unknown} [version] anything that changes when there is something new
 * @returns {{answer: T | undefined, error: string | undefined, isStale: boolean}}
 */
export function useAnswer(address, version) {
  const [state, setState] = useState(
    /** @type {{address?: string, answer?: T, error?: string}} */ ({}),
  );
  const refresh = useRef(() => {});
  const asked = useRef(version);
  useEffect(() => {
    if (address === undefined) return;
    const control = new AbortController();
    const { signal } = control;
    let isAsking = false;
    let isOld = false;
    const keepAsking = async () => {
      isOld = true;
      if (isAsking) return;
      isAsking = true;
      while (isOld && !signal.aborted) {
        isOld = false;
        try {
          const answer = await ask(address, { signal });
          if (!signal.aborted) setState({ address, answer });
        } catch (error) {
          const told = error instanceof Error ? error.message : String(error);
          if (!signal.aborted) setState((before) => ({ ...before, address, error: told }));
        }
      }
      isAsking = false;
    };
    refresh.current = keepAsking;
    keepAsking();
    return () => control.abort();
  }, [address]);
  useEffect(() => {
    if (asked.current === version) return;
    asked.current = version;
    refresh.current();
  }, [version]);
  return { answer: state.answer, error: state.error, isStale: state.address !== address };
}

/**
 * A number that grows when something changed on the disk. While nobody looks at
 * the page it listens to nothing, since a browser has few connections to give.
 *
 * @param {{runs?: string[], list?: boolean}} what runs by id, or the list of runs
 * @returns {{version: number, isLive: boolean}}
 */
export function useNews({ runs = [], list = false }) {
  const [version, setVersion] = useState(0);
  const [isLive, setIsLive] = useState(false);
  const key = JSON.stringify([runs, list]);
  const hasMissed = useRef(false);
  useEffect(() => {
    /** @type {EventSource | undefined} */
    let source;
    const query = new URLSearchParams(runs.map((id) => ["run", id]));
    if (list) query.set("list", "1");
    const listen = () => {
      source?.close();
      source = undefined;
      if (document.hidden) {
        hasMissed.current = true;
        return;
      }
      source = new EventSource(`/api/live?${query}`);
      source.addEventListener("open", () => {
        setIsLive(true);
        if (hasMissed.current) setVersion((n) => n + 1);
        hasMissed.current = false;
      });
      source.addEventListener("error", () => {
        setIsLive(false);
        hasMissed.current = true;
      });
      source.addEventListener("change", () => setVersion((n) => n + 1));
    };
    listen();
    document.addEventListener("visibilitychange", listen);
    return () => {
      document.removeEventListener("visibilitychange", listen);
      source?.close();
    };
  }, [key]);
  return { version, isLive };
}
