// An HTTP/1.1 server by hand: it keeps every byte that reaches it, cuts requests out of them as strictly as the RFC says, and answers what
// the scene wants. What it holds is the proof of what the gateway let through.
'use strict';

const { waitFor } = require('./wait');

const FOREVER_MS = 1e6; // until the connection ends

// A whole answer; to HEAD, without the body its length is about.
function reply(body = '', { status = 200, reason = 'OK', headers = {}, isHead = false } = {}) {
  const bytes = Buffer.from(body);
  const lines = Object.entries({ 'Content-Length': bytes.length, ...headers }).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`), isHead ? Buffer.alloc(0) : bytes]);
}

// A line, without its end.
const line = (raw) => raw.read('a line', (bytes) => {
  const end = bytes.indexOf('\r\n');
  return end < 0 ? null : { text: bytes.toString('latin1', 0, end), size: end + 2 };
}, FOREVER_MS);

// The body that a request's or an answer's head promises.
async function readBody(raw, { headers }) {
  if (!/chunked/i.test(headers['transfer-encoding'] ?? '')) return raw.take(Number(headers['content-length'] ?? 0), FOREVER_MS);
  const parts = [];
  for (;;) {
    const { text } = await line(raw);
    if (!/^[0-9a-f]+$/i.test(text)) throw new Error(`a chunk of size ${JSON.stringify(text)}`);
    const size = parseInt(text, 16);
    if (size === 0) break;
    parts.push((await raw.take(size + 2, FOREVER_MS)).subarray(0, size));
  }
  while ((await line(raw)).text !== '');
  return Buffer.concat(parts);
}

class Origin {
  // `answer(request, raw)` is called with each whole request, or with `early` at its head; what it returns is sent. Its default says which
  // path was asked for.
  static async start(scene, answer = ({ method, path }) => reply(path, { isHead: method === 'HEAD' }), { early = false } = {}) {
    const o = new Origin(answer, early);
    o.port = await scene.server((raw) => o.#serve(raw));
    o.url = `http://127.0.0.1:${o.port}`;
    return o;
  }

  constructor(answer, early) {
    this.answer = answer;
    this.isEarly = early;
    this.connections = []; // {raw, bytes, count}
    this.requests = []; // whole ones: {line, method, path, headers, text, body, connection}
    this.heads = []; // the same without a body, as soon as the head was there
  }

  // All that ever came, over all connections.
  get text() {
    return this.connections.map((c) => Buffer.concat(c.bytes).toString('latin1')).join('');
  }

  forget() {
    this.connections = this.connections.filter((c) => !c.raw.hasEnded);
    for (const c of this.connections) c.bytes.length = 0;
    this.requests.length = 0;
    this.heads.length = 0;
  }

  // Waits for a whole request (`head`: for its head), the first or one after it.
  next(index = 0, { head = false } = {}) {
    return waitFor(`request ${index} at the origin`, () => (head ? this.heads : this.requests)[index]);
  }

  async #serve(raw) {
    const connection = { raw, bytes: [], count: 0 };
    this.connections.push(connection);
    raw.socket.on('data', (part) => connection.bytes.push(part));
    raw.socket.on('end', () => raw.finish());
    try {
      for (;;) {
        const head = await raw.head(FOREVER_MS);
        const [method, path] = head.line.split(' ');
        const request = { ...head, method, path, connection };
        connection.count++;
        this.heads.push(request);
        if (this.isEarly) await this.#answer(request, raw);
        request.body = await readBody(raw, head);
        this.requests.push(request);
        if (!this.isEarly) await this.#answer(request, raw);
      }
    } catch (error) {
      connection.error = error;
    }
  }

  async #answer(request, raw) {
    const bytes = await this.answer(request, raw);
    if (bytes !== undefined) raw.write(bytes);
  }
}

// A client's own request on a raw connection; resolves with {status, headers, body}.
async function exchange(raw, text, { isHead = false } = {}) {
  raw.write(text);
  const head = await raw.head();
  const hasBody = !isHead && head.status !== 204 && head.status !== 304;
  return { ...head, body: hasBody ? (await readBody(raw, head)).toString() : '' };
}

module.exports = { Origin, exchange, readBody, reply };
