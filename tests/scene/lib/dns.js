// A gateway that answers a zone, and clients that ask it: by UDP, by TCP, from any loopback address.
'use strict';

const crypto = require('node:crypto');
const dgram = require('node:dgram');
const net = require('node:net');
const { Raw } = require('./raw');
const { OPTIONS, TYPES, name, option, parse, query, recordTexts, u16 } = require('./dns_message');
const { waitFor, within } = require('./wait');

const ANSWER_MS = 3000;

// A UDP socket that asks `port` at `address`. What comes is kept in `.got` as {bytes, from: {address, port}}.
class Udp {
  static async open(s, port, { address = '127.0.0.1', from } = {}) {
    const u = new Udp(port, address);
    await new Promise((resolve, reject) => {
      u.socket.once('error', reject);
      u.socket.bind({ address: from ?? (net.isIPv6(address) ? '::1' : '127.0.0.1') }, resolve);
    });
    s.atEnd(() => u.close());
    return u;
  }

  constructor(port, address) {
    this.port = port;
    this.address = address;
    this.got = [];
    this.socket = dgram.createSocket({ type: net.isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
    this.socket.on('message', (bytes, from) => {
      this.got.push({ bytes, from });
      this.look?.();
    });
  }

  send(bytes) {
    return new Promise((resolve, reject) => {
      this.socket.send(bytes, this.port, this.address, (error) => (error ? reject(error) : resolve()));
    });
  }

  // The datagram that begins with this id, with `.from`; other ones are left.
  async datagram(id, ms = ANSWER_MS) {
    const found = new Promise((resolve) => {
      this.look = () => {
        const i = this.got.findIndex(({ bytes }) => bytes.length >= 2 && bytes.readUInt16BE(0) === id);
        if (i >= 0) resolve(this.got.splice(i, 1)[0]);
      };
      this.look();
    });
    return within(ms, `an answer to query ${id} of ${this.address}`, found).finally(() => { this.look = null; });
  }

  // The answer to these bytes as parse() has it, with `.from`.
  async ask(bytes, ms) {
    await this.send(bytes);
    const { bytes: answer, from } = await this.datagram(bytes.readUInt16BE(0), ms);
    return Object.assign(parse(answer), { from });
  }

  close() {
    if (!this.isClosed) this.socket.close();
    this.isClosed = true;
  }
}

// A TCP connection to a server of names (RFC 1035 section 4.2.2): each message behind its length.
class DnsTcp {
  static async open(s, port, options) {
    return new DnsTcp(await s.connect(port, { host: options?.address, ...options }));
  }

  constructor(raw) {
    this.raw = raw;
  }

  static framed(...messages) {
    return Buffer.concat(messages.flatMap((message) => [u16(message.length), message]));
  }

  send(...messages) {
    this.raw.write(DnsTcp.framed(...messages));
    return this;
  }

  // The next answer, whosever it is.
  async answer(ms = ANSWER_MS) {
    const framed = await this.raw.read('an answer by TCP', (bytes) => {
      if (bytes.length < 2) return null;
      const size = 2 + bytes.readUInt16BE(0);
      return bytes.length < size ? null : Object.assign(Buffer.from(bytes.subarray(2, size)), { size });
    }, ms);
    return parse(framed);
  }

  async ask(message, ms) {
    this.send(message);
    return this.answer(ms);
  }
}

// A port that is free on every address, UDP and TCP: unlike Scene.freePort()'s it is not claimed, which would take one of them.
async function portEverywhere() {
  for (;;) {
    const port = 10240 + crypto.randomInt(22528);
    const [udp, tcp] = [dgram.createSocket('udp4'), net.createServer()];
    const isFree = await Promise.all([
      new Promise((resolve) => { udp.once('error', () => resolve(false)); udp.bind({ port, exclusive: true }, () => resolve(true)); }),
      new Promise((resolve) => { tcp.once('error', () => resolve(false)); tcp.listen(port, '0.0.0.0', () => resolve(true)); }),
    ]);
    udp.close();
    tcp.close();
    if (isFree.every(Boolean)) return port;
  }
}

// A gateway with a zone.
class Nameserver {
  // `dns`: keys of the section, on top of zone, listen and nameservers; `more`: other sections (targets, pools, node ...). `listen`: given
  // the port, where it listens. `gateway`: options of Gateway.start.
  static async start(s, { zone = 'z.test', dns = {}, more = {}, listen, gateway = {}, port } = {}) {
    const n = new Nameserver(s, zone);
    n.port = port ?? (await s.freePort());
    n.listen = (listen ?? ((own) => [`127.0.0.1:${own}`]))(n.port);
    n.dns = dns;
    n.more = more;
    n.gateway = await s.gateway(n.config(), { name: 'names', ...gateway });
    await n.answers();
    return n;
  }

  constructor(scene, zone) {
    this.scene = scene;
    this.zone = zone;
  }

  config() {
    return { listen: undefined, dns: { zone: this.zone, listen: this.listen, nameservers: ['ns1.example.net'], ...this.dns }, ...this.more };
  }

  // Takes other keys of the section, or other sections.
  async reload({ dns = {}, more = {} }) {
    Object.assign(this.dns, dns);
    Object.assign(this.more, more);
    return this.gateway.reload(this.config());
  }

  // "@" and "www" as names of the zone; what ends with a dot is left alone.
  name(short) {
    return short === '@' ? `${this.zone}.` : short.endsWith('.') ? short : `${short}.${this.zone}.`;
  }

  query(name, type = 'A', options = {}) {
    return query(this.name(name), type, options);
  }

  udp(options) {
    return Udp.open(this.scene, this.port, options);
  }

  tcp(options) {
    return DnsTcp.open(this.scene, this.port, options);
  }

  // One answer by UDP. What is not about addresses (`from`, `address`, `ms`) shapes the query: see lib/dns_message.js.
  async ask(name, type = 'A', { from, address, ms, ...shape } = {}) {
    const u = await this.udp({ from, address });
    try {
      return await u.ask(this.query(name, type, shape), ms);
    } finally {
      u.close();
    }
  }

  // Data of the answers, sorted.
  async data(name, type = 'A', options) {
    return (await this.ask(name, type, options)).answer.map((record) => record.data).sort();
  }

  // Waits until `type` of that name is answered with these data, in any order; resolves with the answer.
  async until(name, wanted, { type = 'A', ms = 8000 } = {}) {
    const u = await this.udp();
    let last;
    try {
      return await waitFor(`${name} ${type} to be ${wanted}`, async () => {
        last = await u.ask(this.query(name, type));
        return last.answer.map((record) => record.data).sort().join() === [].concat(wanted).sort().join() && last;
      }, ms).catch((error) => {
        throw new Error(`${error.message}; last: ${last?.rcode} ${last?.answer.map(({ data }) => data)}`);
      });
    } finally {
      u.close();
    }
  }

  async soa(options) {
    const { answer: [{ ttl, data }] } = await this.ask('@', 'SOA', options);
    const [mname, rname, ...numbers] = data.split(' ');
    const [serial, refresh, retry, expire, minimum] = numbers.map(Number);
    return { mname, rname, ttl, serial, refresh, retry, expire, minimum };
  }

  async serial() {
    return (await this.soa()).serial;
  }

  // Waits until it answers at all.
  async answers(ms = 8000) {
    const [address] = this.listen[0].match(/^.*(?=:)/);
    const where = { '0.0.0.0': '127.0.0.1' }[address] ?? address.replace(/[[\]]/g, '');
    await waitFor('the zone to be answered', async () => (await this.ask('@', 'SOA', { address: where, ms: 200 })).rcode === 'NOERROR', ms);
  }

  // The process that answers: {pid, state, restarts, ...}.
  async process() {
    return (await this.gateway.processes()).dns;
  }
}

module.exports = { DnsTcp, Nameserver, OPTIONS, TYPES, Udp, dnsName: name, dnsParse: parse, dnsQuery: query, option, portEverywhere, recordTexts, u16 };
