// DNS messages by hand: queries in all their right and wrong forms, and answers as objects (RFC 1035, 6891, 7873, 9460).
'use strict';

const crypto = require('node:crypto');

const TYPES = {
  A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, SVCB: 64, HTTPS: 65, IXFR: 251, AXFR: 252, ANY: 255, CAA: 257,
};
const TYPE_NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, number]) => [number, name]));
const CLASSES = { IN: 1, CH: 3, ANY: 255 };
const RCODES = {
  0: 'NOERROR', 1: 'FORMERR', 2: 'SERVFAIL', 3: 'NXDOMAIN', 4: 'NOTIMP', 5: 'REFUSED', 6: 'YXDOMAIN', 9: 'NOTAUTH', 16: 'BADVERS', 23: 'BADCOOKIE',
};
const OPTIONS = { NSID: 3, COOKIE: 10, PADDING: 12 };
const FLAGS = { qr: 0x8000, aa: 0x0400, tc: 0x0200, rd: 0x0100, ra: 0x0080, ad: 0x0020, cd: 0x0010 };

function u16(...numbers) {
  const b = Buffer.alloc(2 * numbers.length);
  numbers.forEach((n, i) => b.writeUInt16BE(n, 2 * i));
  return b;
}

// "a.example." as labels; a text without dots to escape.
function name(text) {
  const labels = text.split('.').filter((label) => label !== '').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])]);
}

// One query. `edns`: {bytes, version, options: [[code, data]], flags}, or nothing. `type` is a name or a number.
function query(qname, type = 'A', { id = crypto.randomInt(65536), cls = 'IN', flags = ['rd'], opcode = 0, edns } = {}) {
  const bits = flags.reduce((sum, flag) => sum | FLAGS[flag], opcode << 11);
  const head = u16(id, bits, 1, 0, 0, edns ? 1 : 0);
  const question = [name(qname), u16(TYPES[type] ?? type, CLASSES[cls] ?? cls)];
  if (!edns) return Buffer.concat([head, ...question]);
  const { bytes = 1232, version = 0, options = [], flags: ednsFlags = 0 } = edns;
  const data = Buffer.concat(options.flatMap(([code, value]) => [u16(code, value.length), value]));
  return Buffer.concat([head, ...question, Buffer.from([0]), u16(TYPES.OPT, bytes), Buffer.from([0, version]), u16(ednsFlags, data.length), data]);
}

// ---- reading; throws when it is not a message ----

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  u8() {
    return this.bytes.readUInt8(this.at++);
  }

  u16() {
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  u32() {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new Error('the message ends early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  // Follows pointers, each further back than the last.
  name() {
    const labels = [];
    let end = null; // where to go on after a pointer
    let limit = this.at;
    for (;;) {
      const length = this.u8();
      if (length === 0) break;
      if (length >= 0xc0) {
        const to = ((length & 0x3f) << 8) | this.u8();
        end ??= this.at;
        if (to >= limit) throw new Error('a pointer does not lead back');
        this.at = limit = to;
      } else if (length > 63) throw new Error(`a label of ${length}`);
      else labels.push(this.take(length).toString('latin1').replace(/[.\\]/g, '\\$&'));
    }
    if (end !== null) this.at = end;
    return `${labels.join('.')}.`;
  }
}

function ipv6(bytes) {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1); // the shortest form
}

function svcParams(r, end) {
  const KEYS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint'];
  const found = [];
  while (r.at < end) {
    const [key, length] = [r.u16(), r.u16()];
    const value = new Reader(r.take(length));
    const list = [];
    while (value.at < length) {
      if (key === 1) list.push(value.take(value.u8()).toString());
      else if (key === 3) list.push(value.u16());
      else if (key === 4) list.push(value.take(4).join('.'));
      else if (key === 6) list.push(ipv6(value.take(16)));
      else list.push(value.take(length).toString('hex'));
    }
    found.push(list.length > 0 ? `${KEYS[key] ?? `key${key}`}=${list.join()}` : KEYS[key]);
  }
  return found;
}

// Presentation form of each type's data.
const DATA = {
  A: (r, end) => r.take(end - r.at).join('.'),
  AAAA: (r, end) => ipv6(r.take(end - r.at)),
  NS: (r) => r.name(),
  CNAME: (r) => r.name(),
  PTR: (r) => r.name(),
  MX: (r) => `${r.u16()} ${r.name()}`,
  SRV: (r) => `${r.u16()} ${r.u16()} ${r.u16()} ${r.name()}`,
  SOA: (r) => [r.name(), r.name(), r.u32(), r.u32(), r.u32(), r.u32(), r.u32()].join(' '),
  TXT: (r, end) => {
    const strings = [];
    while (r.at < end) strings.push(`"${r.take(r.u8()).toString('latin1').replace(/["\\]/g, '\\$&')}"`);
    return strings.join(' ');
  },
  CAA: (r, end) => `${r.u8()} ${r.take(r.u8())} "${r.take(end - r.at)}"`,
  SVCB: (r, end) => [r.u16(), r.name(), ...svcParams(r, end)].join(' '),
};
DATA.HTTPS = DATA.SVCB;

function record(r) {
  const owner = r.name();
  const [type, cls, ttl, length] = [r.u16(), r.u16(), r.u32(), r.u16()];
  const end = r.at + length;
  const kind = TYPE_NAMES[type] ?? `TYPE${type}`;
  if (kind === 'OPT') {
    const options = [];
    while (r.at < end) {
      const [code, size] = [r.u16(), r.u16()];
      options.push([code, Buffer.from(r.take(size))]);
    }
    return { type: kind, bytes: cls, extended: ttl >>> 24, version: (ttl >>> 16) & 255, flags: ttl & 0xffff, options };
  }
  const data = (DATA[kind] ?? (() => r.take(length).toString('hex')))(r, end);
  if (r.at !== end) throw new Error(`${kind} of ${owner}: ${length} bytes announced, another number used`);
  return { owner, type: kind, cls, ttl, data };
}

// {id, flags: {qr, aa, tc, ...}, opcode, rcode (with that of EDNS), question, answer, authority, additional (without OPT), edns, bytes}
function parse(bytes) {
  const r = new Reader(bytes);
  const [id, bits, ...counts] = [r.u16(), r.u16(), r.u16(), r.u16(), r.u16(), r.u16()];
  const question = Array.from({ length: counts[0] }, () => ({ name: r.name(), type: r.u16(), cls: r.u16() }))[0];
  const [answer, authority, rest] = counts.slice(1).map((count) => Array.from({ length: count }, () => record(r)));
  if (r.at !== bytes.length) throw new Error(`${bytes.length - r.at} bytes behind the message`);
  const edns = rest.find(({ type }) => type === 'OPT');
  const code = (bits & 15) | ((edns?.extended ?? 0) << 4);
  return {
    id,
    flags: Object.fromEntries(Object.entries(FLAGS).map(([flag, bit]) => [flag, (bits & bit) !== 0])),
    opcode: (bits >> 11) & 15,
    rcode: RCODES[code] ?? code,
    question,
    answer,
    authority,
    additional: rest.filter((one) => one !== edns),
    edns,
    bytes,
  };
}

const option = (message, code) => message.edns?.options.find(([each]) => each === code)?.[1];
// "A 192.0.2.1", sorted: what is said, whatever the order.
const recordTexts = (records) => records.map(({ type, data }) => `${type} ${data}`).sort();

module.exports = { OPTIONS, TYPES, name, option, parse, query, recordTexts, u16 };
