// A real Knot as the server of somebody's provider: primary of one zone, which a key may change (RFC 2136).
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { tool } = require('./tools');
const { waitFor } = require('./wait');

class Knot {
  // `records`: lines of the zone besides its SOA and NS. `algorithm`: of the key.
  static async start(s, { zone = 'example.test', records = [], algorithm = 'hmac-sha256' } = {}) {
    const k = new Knot(s, await s.freePort());
    k.zone = zone;
    k.key = { name: 'push.tidegate', algorithm, secret: crypto.randomBytes(32).toString('base64') };
    k.write(records);
    await k.begin();
    return k;
  }

  constructor(scene, port) {
    this.scene = scene;
    this.port = port;
    this.server = `127.0.0.1:${port}`;
    this.folder = fs.mkdtempSync(path.join(scene.temp(), 'knot-'));
    this.file = path.join(this.folder, 'knot.conf');
  }

  write(records) {
    const zone = ['$TTL 300', '@ SOA ns1 hostmaster 1 3600 600 86400 60', '@ NS ns1', 'ns1 A 127.0.0.1', ...records];
    fs.writeFileSync(path.join(this.folder, 'zone'), `${zone.join('\n')}\n`);
    fs.writeFileSync(this.file, `
server:
    rundir: "${this.folder}"
    listen: 127.0.0.1@${this.port}
    tcp-workers: 1
    udp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "${this.folder}"
    journal-db-max-size: 16M
key:
  - id: ${this.key.name}
    algorithm: ${this.key.algorithm}
    secret: ${this.key.secret}
acl:
  - id: push
    key: ${this.key.name}
    action: update
    update-owner: zone
    update-type: [A, AAAA, CNAME]
zone:
  - domain: ${this.zone}
    storage: "${this.folder}"
    file: zone
    acl: push
`);
  }

  // On its port, again after kill() or stop(), with what it was told so far.
  async begin() {
    this.process = await this.scene.start({ name: 'knot', command: '/usr/sbin/knotd', args: ['-c', this.file], ready: /server started/ });
    await waitFor('Knot to answer its zone', async () => (await this.ask('@', 'SOA')).length === 1);
  }

  // What dns.push of a gateway says about it; `keys` replaces some of them.
  push(keys = {}) {
    const { name, algorithm, secret } = this.key;
    return { server: this.server, zone: this.zone, key_name: name, key_algorithm: algorithm, key_secret: secret, ...keys };
  }

  // Data of the answers, sorted: kdig's short form. A CNAME stands before what it leads to. [] when there is none, or no Knot.
  async ask(name, type = 'A') {
    const whole = name === '@' ? this.zone : `${name}.${this.zone}`;
    const { text } = await tool('kdig', ['@127.0.0.1', '-p', String(this.port), '+short', '+retry=0', '+time=2', whole, type]);
    return text.split('\n').filter((line) => line !== '' && !line.startsWith(';')).sort();
  }

  async serial() {
    return Number((await this.ask('@', 'SOA'))[0].split(' ')[2]);
  }

  async ttl(name, type = 'A') {
    const { text } = await tool('kdig', ['@127.0.0.1', '-p', String(this.port), '+noall', '+answer', `${name}.${this.zone}`, type]);
    return Number(text.trim().split(/\s+/)[1]);
  }

  // Waits until these are the data.
  async until(name, wanted, { type = 'A', ms = 15000 } = {}) {
    let last;
    await waitFor(`${name} ${type} at Knot to be ${wanted}`, async () => {
      last = await this.ask(name, type);
      return last.join() === [].concat(wanted).sort().join();
    }, ms).catch((error) => { throw new Error(`${error.message}; last: ${last}`); });
  }

  kill() {
    return this.process.kill();
  }
}

module.exports = { Knot };
