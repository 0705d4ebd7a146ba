// Bytes by hand: a TCP connection that says exactly what a scene wants said, and RFC 6455 frames in all their wrong forms.
'use strict';

const crypto = require('node:crypto');
const net = require('node:net');
const { within } = require('./wait');

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

// One frame. `length` overrides the announced length, `form` (7, 16 or 64 bits) the size of its field, `mask` true takes a random key.
function frame({ opcode = OPCODE.text, payload = '', fin = true, rsv = 0, mask = false, length, form } = {}) {
  const data = Buffer.from(payload);
  const size = length ?? data.length;
  const bits = form ?? (size < 126 ? 7 : size < 65536 ? 16 : 64);
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = mask ? 0x80 : 0;
  if (bits === 7) head[1] |= size;
  else if (bits === 16) {
    head[1] |= 126;
    head.writeUInt16BE(size, 2);
  } else {
    head[1] |= 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  if (!mask) return Buffer.concat([head, data]);
  const key = mask === true ? crypto.randomBytes(4) : Buffer.from(mask);
  return Buffer.concat([head, key, Buffer.from(data.map((byte, i) => byte ^ key[i & 3]))]);
}

function closeFrame(code, reason = '', options = {}) {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return frame({ ...options, opcode: OPCODE.close, payload });
}

// The first frame in `bytes` as {opcode, fin, rsv, isMasked, payload, size}, or null while it is not complete. A close frame has code and reason.
function parseFrame(bytes) {
  if (bytes.length < 2) return null;
  let at = 2;
  let length = bytes[1] & 0x7f;
  const isMasked = (bytes[1] & 0x80) !== 0;
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return null;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const key = isMasked ? bytes.subarray(at, at + 4) : null;
  if (isMasked) at += 4;
  if (bytes.length < at + length) return null;
  const raw = bytes.subarray(at, at + length);
  const payload = key ? Buffer.from(raw.map((byte, i) => byte ^ key[i & 3])) : Buffer.from(raw);
  const f = { fin: (bytes[0] & 0x80) !== 0, rsv: (bytes[0] >> 4) & 7, opcode: bytes[0] & 15, isMasked, payload, size: at + length };
  if (f.opcode === OPCODE.close && payload.length >= 2) {
    f.code = payload.readUInt16BE(0);
    f.reason = payload.toString('utf8', 2);
  }
  return f;
}

// A TCP connection with what has come and was not taken yet.
// RST instead of FIN. Not while an end is on its way: node does not close a socket then, and later waits for it for ever when it
// should end itself.
function resetSocket(socket) {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

class Raw {
  // `from`: the loopback address to come from.
  static async connect(port, { host = '127.0.0.1', from, ms = 5000 } = {}) {
    const socket = net.connect({ port, host, localAddress: from, noDelay: true, allowHalfOpen: true });
    await within(ms, `connect to ${host}:${port}`, new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }));
    return new Raw(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.hasEnded = false; // FIN, RST or our own end
    this.error = null;
    this.looks = new Set();
    const look = () => {
      for (const each of [...this.looks]) each();
    };
    socket.on('data', (part) => {
      this.bytes = Buffer.concat([this.bytes, part]);
      look();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    const end = () => {
      this.hasEnded = true;
      look();
    };
    socket.on('end', end);
    socket.on('close', end);
  }

  write(data) {
    this.socket.write(data);
    return this;
  }

  // Waits until `take` (given all bytes that wait) returns something other than null; it tells how many bytes it used up in `.size`.
  async #until(what, take, ms) {
    let look;
    const found = new Promise((resolve, reject) => {
      look = () => {
        const value = take(this.bytes);
        if (value !== null) {
          this.bytes = this.bytes.subarray(value.size);
          resolve(value);
        } else if (this.hasEnded) {
          reject(new Error(`${what}: the connection ended before (${this.error?.code ?? 'closed'}), waiting: ${JSON.stringify(this.bytes.toString('latin1').slice(0, 400))}`));
        }
      };
      this.looks.add(look);
      look();
    });
    return within(ms, what, found).finally(() => this.looks.delete(look));
  }

  // The head of an HTTP message as {line, status, headers, text}.
  head(ms = 5000) {
    return this.#until('an HTTP head', (bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return null;
      const text = bytes.toString('latin1', 0, end);
      const [line, ...fields] = text.split('\r\n');
      const headers = {};
      for (const field of fields) {
        const colon = field.indexOf(':');
        const name = field.slice(0, colon).toLowerCase();
        const value = field.slice(colon + 1).trim();
        headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
      }
      return { line, status: Number(line.split(' ')[1]), headers, text, size: end + 4 };
    }, ms);
  }

  // Exactly `count` bytes.
  take(count, ms = 5000) {
    return this.#until(`${count} bytes`, (bytes) => (bytes.length < count ? null : Object.assign(Buffer.from(bytes.subarray(0, count)), { size: count })), ms);
  }

  frame(ms = 5000) {
    return this.#until('a frame', parseFrame, ms);
  }

  // What `parse` finds at the beginning of what has come: something with its `size`, or null while there is not enough.
  read(what, parse, ms = 5000) {
    return this.#until(what, parse, ms);
  }

  // The next frame that is a close frame; others are skipped.
  async closing(ms = 5000) {
    for (;;) {
      const f = await this.frame(ms);
      if (f.opcode === OPCODE.close) return f;
    }
  }

  // The end of the connection, whatever came before it.
  async ended(ms = 5000) {
    let look;
    const found = new Promise((resolve) => {
      look = () => this.hasEnded && resolve();
      this.looks.add(look);
      look();
    });
    await within(ms, 'the end of the connection', found).finally(() => this.looks.delete(look));
    return this.error?.code ?? 'closed';
  }

  pause() {
    this.socket.pause();
  }

  resume() {
    this.socket.resume();
  }

  finish() {
    this.socket.end();
  }

  reset() {
    resetSocket(this.socket);
  }

  destroy() {
    this.socket.destroy();
  }
}

// The text of an upgrade request; header values of null leave the header out, arrays repeat it.
function upgradeRequest({ path = '/', host = 'localhost', method = 'GET', version = 'HTTP/1.1', headers = {} } = {}) {
  const all = {
    Host: host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = [`${method} ${path} ${version}`];
  for (const [name, value] of Object.entries(all))
    for (const each of value === null ? [] : [].concat(value)) lines.push(`${name}: ${each}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function acceptKey(key) {
  return crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

// The answer of a server to the head of an upgrade request.
function upgradeAnswer(head, headers = {}) {
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptKey(head.headers['sec-websocket-key']),
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`;
}

module.exports = { OPCODE, Raw, acceptKey, closeFrame, frame, parseFrame, upgradeAnswer, upgradeRequest, resetSocket };
