/**
 * Requests to the station: JSON over HTTP with Basic credentials on each of
 * them (protocol section 2). Knows nothing of calls.
 */

/** How long an answer may take, in milliseconds. A LAN answers in a few. */
const REQUEST_LIMIT = 10_000;

/** SPiDR status codes that this client acts on (protocol section 2). */
export const Status = Object.freeze({
  NOT_AUTHORISED: 4,
  NO_SUBSCRIPTION: 39,
  NO_SESSION: 42,
  SESSION_EXPIRED: 47,
});

/** A request that did not succeed. `status` 0: no answer came at all. */
export class RequestError extends Error {
  /**
   * @param {number} status HTTP status, 0 without an answer
   * @param {number} [code] `statusCode` of the reply's wrapper object
   * @param {number} [retryAfter] seconds the server asks us to wait
   * @param {string} [reason] a word of the page's own routes
   */
  constructor(status, code = 0, retryAfter = 0, reason = "") {
    super(`request failed (${status}/${code})`);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.reason = reason;
  }

  /** The name or the password is wrong: trying again is of no use. */
  get needsLogin() {
    return this.status === 401 || (this.status === 403 && this.code === Status.NOT_AUTHORISED);
  }

  /** The subscription or the call it was about does not exist any more. */
  get gone() {
    return (
      [403, 404, 410].includes(this.status) ||
      [Status.NO_SUBSCRIPTION, Status.NO_SESSION, Status.SESSION_EXPIRED].includes(this.code)
    );
  }
}

/** The station's REST side, with the credentials of one person. */
export class Rest {
  #authorization;
  #origin;

  /**
   * @param {string} address the person, `alice@demo.local`
   * @param {string} password
   * @param {string} [origin] of the station
   */
  constructor(address, password, origin = location.origin) {
    const bytes = new TextEncoder().encode(`${address}:${password}`);
    this.#authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
    this.#origin = origin;
  }

  get origin() {
    return this.#origin;
  }

  /**
   * @param {string} method
   * @param {string} path absolute, on the station only
   * @param {object} [body] sent as JSON
   * @param {{last?: boolean, headers?: Record<string, string>}} [options] `last`: the page is going away; the
   *   request outlives it
   * @returns {Promise<any>} the JSON of the reply, `{}` if it has none
   * @throws {RequestError}
   */
  async request(method, path, body, { last = false, headers = {} } = {}) {
    const response = await this.#send(method, path, {
      headers: { Accept: "application/json", ...headers, ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      keepalive: last,
      signal: last ? undefined : AbortSignal.timeout(REQUEST_LIMIT),
    });
    const reply = await response.json().catch(() => ({}));
    if (response.ok) return reply ?? {};
    const reason = typeof reply?.code === "string" ? reply.code : "";
    const wrapper = Object.values(reply ?? {}).find((value) => Number.isInteger(value?.statusCode));
    const wait = Number(wrapper?.retryAfter ?? response.headers.get("Retry-After"));
    throw new RequestError(response.status, wrapper?.statusCode, Number.isFinite(wait) ? wait : 0, reason);
  }

  /**
   * @param {string} path absolute, on the station only
   * @returns {Promise<Blob>} a file of the station
   * @throws {RequestError}
   */
  async file(path) {
    const response = await this.#send("GET", path, { signal: AbortSignal.timeout(REQUEST_LIMIT) });
    if (!response.ok) throw new RequestError(response.status);
    return response.blob();
  }

  async #send(method, path, options) {
    const url = new URL(path, this.#origin);
    if (url.origin !== this.#origin) throw new RequestError(0);
    try {
      return await fetch(url, {
        method,
        // Without this a 401 would open the browser's own log-in window.
        credentials: "omit",
        cache: "no-store",
        ...options,
        headers: { Authorization: this.#authorization, ...options.headers },
      });
    } catch {
      throw new RequestError(0);
    }
  }
}

/** A user name as the path wants it: escaped, but with a plain `@`. */
export function userPath(address) {
  return `/rest/version/1/user/${encodeURIComponent(address).replaceAll("%40", "@")}`;
}
