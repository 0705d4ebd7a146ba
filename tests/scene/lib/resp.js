// Redis' protocol (RESP2), spoken by hand: one connection, one command at a time.
'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { Raw } = require('./raw');
const { within } = require('./wait');

const ANSWER_MS = 5000;
const SCENE_MS = 600000; // longer than any scene

// The reply at `at`: {value, size}; null while it is not complete. Errors are values, texts are bytes.
function parse(bytes, at = 0) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const text = bytes.toString('utf8', at + 1, end);
  const size = end + 2 - at;
  switch (String.fromCharCode(bytes[at])) {
    case '+': return { value: text, size };
    case '-': return { value: new Error(text), size };
    case ':': return { value: Number(text), size };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, size };
      if (bytes.length < end + 4 + length) return null;
      return { value: Buffer.from(bytes.subarray(end + 2, end + 2 + length)), size: size + length + 2 };
    }
    case '*': {
      const value = [];
      let used = size;
      for (let i = 0; i < Number(text); i++) {
        const element = parse(bytes, at + used);
        if (!element) return null;
        value.push(element.value);
        used += element.size;
      }
      return { value: Number(text) < 0 ? null : value, size: used };
    }
    default: throw new Error(`no reply of Redis: ${bytes.toString('latin1', at, at + 40)}`);
  }
}

function textOf(value) {
  if (Buffer.isBuffer(value)) return value.toString();
  return Array.isArray(value) ? value.map(textOf) : value;
}

class Resp {
  // `to`: {port} or {path}; with `ca` (PEM) over TLS.
  static async connect({ ca, ...to }) {
    const socket = ca ? tls.connect({ host: '127.0.0.1', ca, ...to }) : net.connect({ host: '127.0.0.1', ...to });
    await within(ANSWER_MS, 'a connection to Redis', new Promise((resolve, reject) => {
      socket.once(ca ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    }));
    return new Resp(new Raw(socket));
  }

  constructor(raw) {
    this.raw = raw;
    this.last = Promise.resolve();
  }

  // The reply with its texts as bytes; rejects with Redis' error.
  bytes(...words) {
    const parts = words.map((word) => (Buffer.isBuffer(word) ? word : Buffer.from(String(word))));
    const answer = this.last.then(async () => {
      this.raw.write(`*${parts.length}\r\n`);
      for (const part of parts) this.raw.write(`$${part.length}\r\n`).write(part).write('\r\n');
      return (await this.raw.read(`Redis' reply to ${words[0]}`, parse, ANSWER_MS)).value;
    });
    this.last = answer.catch(() => {});
    return answer.then((value) => {
      if (value instanceof Error) throw value;
      return value;
    });
  }

  async command(...words) {
    return textOf(await this.bytes(...words));
  }

  // From now on this connection only listens: `fn` gets the bytes of every message of that channel.
  async subscribe(channel, fn) {
    await this.bytes('SUBSCRIBE', channel);
    const listen = () => this.raw.read('a message', parse, SCENE_MS).then(({ value }) => {
      fn(value[2]);
      return listen();
    }, () => {}); // it has ended
    listen();
  }

  end() {
    this.raw.destroy();
  }
}

module.exports = { Resp };
