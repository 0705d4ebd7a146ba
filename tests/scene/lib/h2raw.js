// HTTP/2 by hand (RFC 9113): frames and header blocks exactly as a scene wants them, from either end of a connection. Fields are written as
// literals without Huffman codes or tables (RFC 7541 section 6.2.2); of the peer's blocks only the status is read.
'use strict';

const { within } = require('./wait');

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const TYPE = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5, ping: 6, goaway: 7, window: 8, continuation: 9 };
const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 };
const SETTING = { tableSize: 1, push: 2, maxStreams: 3, window: 4, frameSize: 5, listSize: 6, connectProtocol: 8 };
const CODE = { none: 0, protocol: 1, internal: 2, flowControl: 3, settingsTimeout: 4, streamClosed: 5, frameSize: 6, refused: 7, cancel: 8, compression: 9, calm: 11 };
const HEADER_BYTES = 9;
const FOREVER_MS = 1e6; // until the connection ends

function h2Frame(type, flags = 0, id = 0, payload = '') {
  const data = Buffer.from(payload);
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUIntBE(data.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, data]);
}

// An integer of RFC 7541 section 5.1.
function integer(value, bits, first = 0) {
  const max = (1 << bits) - 1;
  if (value < max) return Buffer.from([first | value]);
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function text(value) {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

// A header block of [name, value] pairs.
function block(fields) {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function settings(values = {}) {
  const payload = Buffer.alloc(Object.keys(values).length * 6);
  Object.entries(values).forEach(([name, value], i) => {
    payload.writeUInt16BE(SETTING[name], i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return h2Frame(TYPE.settings, 0, 0, payload);
}

function number(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const h2Reset = (id, code = CODE.cancel) => h2Frame(TYPE.reset, 0, id, number(code));
const h2Window = (id, bytes) => h2Frame(TYPE.window, 0, id, number(bytes));

// Digits as Huffman codes: 0 to 2 have five bits, the others six (RFC 7541 appendix B).
function digits(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let found = '';
  for (let at = 0; found.length < 3; ) {
    const five = parseInt(bits.slice(at, at + 5), 2);
    if (five < 3) {
      found += five;
      at += 5;
    } else {
      found += parseInt(bits.slice(at, at + 6), 2) - 22;
      at += 6;
    }
  }
  return found;
}

// The status of a header block whose first field it is.
function statusOf(bytes) {
  const known = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 }; // the static table
  let at = 0;
  while ((bytes[at] & 0xe0) === 0x20) { // another size of the table
    if ((bytes[at] & 0x1f) === 0x1f) while (bytes[++at] & 0x80);
    at++;
  }
  if (bytes[at] & 0x80) return known[bytes[at] & 0x7f];
  const isHuffman = (bytes[at + 1] & 0x80) !== 0;
  const value = bytes.subarray(at + 2, at + 2 + (bytes[at + 1] & 0x7f));
  return Number(isHuffman ? digits(value) : value.toString('latin1'));
}

// The first frame in `bytes`, or null while it is not complete.
function parseH2Frame(bytes) {
  if (bytes.length < HEADER_BYTES) return null;
  const size = HEADER_BYTES + bytes.readUIntBE(0, 3);
  if (bytes.length < size) return null;
  const payload = Buffer.from(bytes.subarray(HEADER_BYTES, size));
  return { type: bytes[3], flags: bytes[4], id: bytes.readUInt32BE(5) & 0x7fffffff, payload, size };
}

// One end of a connection, over a Raw. What comes is gathered by stream; settings and pings are acknowledged.
class H2Raw {
  // As a client. `values`: settings, by their names above; `mayEnd`: its first words may already be too much.
  static async connect(scene, port, { values = {}, ...options } = {}) {
    const h = new H2Raw(await scene.connect(port, options));
    h.raw.write(Buffer.concat([Buffer.from(PREFACE), settings({ tableSize: 0, push: 0, ...values })]));
    return h;
  }

  // As a server: `raw` was accepted and its preface is still to come.
  static async accept(raw, { values = {} } = {}) {
    await raw.take(PREFACE.length);
    const h = new H2Raw(raw);
    raw.write(settings(values));
    return h;
  }

  constructor(raw) {
    this.raw = raw;
    this.nextId = 1;
    this.streams = new Map(); // {status, blocks, data, isEnded, reset}
    this.opened = []; // ids of the peer's streams, in order
    this.goaway = null; // {last, code}
    this.settings = null; // the peer's: Map of id to value
    this.pings = 0; // of ours that came back
    this.looks = new Set();
    this.done = this.#read();
  }

  async #read() {
    try {
      for (;;) {
        this.#take(await this.raw.read('an HTTP/2 frame', parseH2Frame, FOREVER_MS));
        for (const look of [...this.looks]) look();
      }
    } catch {
      this.hasEnded = true;
      for (const look of [...this.looks]) look();
    }
  }

  stream(id) {
    if (!this.streams.has(id)) this.streams.set(id, { status: undefined, blocks: [], data: Buffer.alloc(0), isEnded: false, reset: null });
    return this.streams.get(id);
  }

  #take({ type, flags, id, payload }) {
    const st = id === 0 ? null : this.stream(id);
    if (type === TYPE.headers) {
      if (!this.opened.includes(id)) this.opened.push(id);
      st.blocks.push(payload);
      const status = payload.length > 0 ? statusOf(payload) : NaN;
      if (!(st.status >= 200)) st.status = status;
    } else if (type === TYPE.data) {
      st.data = Buffer.concat([st.data, payload]);
    } else if (type === TYPE.reset) {
      st.reset = payload.readUInt32BE(0);
    } else if (type === TYPE.goaway) {
      this.goaway = { last: payload.readUInt32BE(0) & 0x7fffffff, code: payload.readUInt32BE(4) };
    } else if (type === TYPE.settings && !(flags & FLAG.ack)) {
      this.settings = new Map();
      for (let at = 0; at < payload.length; at += 6) this.settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      this.write(h2Frame(TYPE.settings, FLAG.ack));
    } else if (type === TYPE.ping) {
      if (flags & FLAG.ack) this.pings++;
      else this.write(h2Frame(TYPE.ping, FLAG.ack, 0, payload));
    }
    if ((type === TYPE.data || type === TYPE.headers) && flags & FLAG.endStream) st.isEnded = true;
  }

  write(bytes) {
    this.raw.write(bytes);
    return this;
  }

  // Opens a stream with these fields; returns its id. `end`: nothing follows.
  request(fields, { end = true, flags = FLAG.endHeaders, id = this.nextId } = {}) {
    this.nextId = id + 2;
    this.write(h2Frame(TYPE.headers, flags | (end ? FLAG.endStream : 0), id, block(fields)));
    return id;
  }

  data(id, payload, { end = false } = {}) {
    return this.write(h2Frame(TYPE.data, end ? FLAG.endStream : 0, id, payload));
  }

  headers(id, fields, { end = false } = {}) {
    return this.write(h2Frame(TYPE.headers, FLAG.endHeaders | (end ? FLAG.endStream : 0), id, block(fields)));
  }

  // Waits until `fact(this)` is true, or the connection has ended; returns what it said.
  async until(what, fact, ms = 5000) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const value = fact(this);
        if (value || this.hasEnded) resolve(value);
      };
      this.looks.add(look);
      look();
    });
    return within(ms, what, found).finally(() => this.looks.delete(look));
  }

  // What became of a stream: its status, or 'reset CODE', 'goaway CODE' or 'closed'. `whole`: once its answer is complete.
  async outcome(id, { whole = false } = {}) {
    const st = this.stream(id);
    await this.until(`an answer on stream ${id}`, () => st.reset !== null || this.goaway || (st.status >= 200 && (!whole || st.isEnded)));
    if (st.status >= 200) return st.status;
    if (st.reset !== null) return `reset ${st.reset}`;
    return this.goaway ? `goaway ${this.goaway.code}` : 'closed';
  }

  ended(ms) {
    return this.raw.ended(ms);
  }

  destroy() {
    this.raw.destroy();
  }
}

module.exports = { CODE, FLAG, H2Raw, PREFACE, SETTING, TYPE, block, h2Frame, h2Reset, h2Window, parseH2Frame, settings };
