// The service over HTTP: the key, and words for whatever goes wrong.

const PATIENCE = 20_000; // ms until an unanswered request counts as failed
const KEY = "digits-key";

/** A request that was not answered as hoped; `message` is for the reader. */
export class Refusal extends Error {
  /** `wait`: seconds after which it is worth asking again; null: asking again will not help. */
  constructor(message, status, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

const WORDS = {
  401: "This service asks for a key.",
  403: "The service does not take requests from this page.",
  413: "This picture is too large for the service.",
  429: "The service asks for a pause.",
  500: "Something went wrong in the service.",
  503: "The service is busy at the moment.",
  504: "The service took too long to answer.",
};

let key = recall();

function recall() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Show this key from now on, until the tab is closed. */
export function useKey(value) {
  key = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // kept by this page alone
  }
}

/** An id of 32 hex characters for the strokes of one sheet. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers["X-API-Key"] = key;
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), {
      ...options, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
    });
  } catch (error) {
    if (error.name === "TimeoutError") throw new Refusal(WORDS[504], 504, 2);
    throw new Refusal(navigator.onLine ? "The service cannot be reached." : "You are offline.", 0, 2);
  }
  const content = await response.json().catch(() => null);
  if (response.ok && content !== null) return content;
  throw refusal(response, content);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function refusal(response, content) {
  const { status } = response;
  const told = !WORDS[status] && typeof content?.error === "string" && content.error ? sentence(content.error) : null;
  const asked = Number(response.headers.get("Retry-After"));
  const wait = status === 429 || status === 503 ? Math.min(Math.max(asked || 1, 1), 60) : null;
  return new Refusal(told ?? WORDS[status] ?? "The service gave no answer that can be read.", status, wait);
}

const json = (content) => ({
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
});

/** Read a picture. Only what is stored can be corrected later. */
export const predict = (blob, { stored, sheet }) =>
  ask(`v1/predict?pixels=true${stored ? "" : "&store=false"}`, {
    method: "POST", headers: { "Content-Type": blob.type, "X-Digits-Key": sheet }, body: blob,
  });

/** Say why 784 pixels speak for `target` (null: for what is read). */
export const explain = (pixels, method, target, nearest) =>
  ask("v1/explain", json({ pixels: Array.from(pixels), method, target, nearest }));

export const correct = (id, label) => ask("v1/feedback", json({ id, label }));

export const about = () => ask("v1/model");

/** Have the service put the next sample before a labeller; `act`: next, label, skip or undo. */
export const labelling = (act, form) => ask(`v1/labelling/${act}`, json(form));

export const labellers = () => ask("v1/labelling/labellers");

/** What was found in served traffic, the oldest finding first. */
export const drift = (last) => ask(`v1/drift?last=${last}`);
