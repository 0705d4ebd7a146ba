// A name whose answer follows the regions: each region has an address, and a check of the scene's own pace.
'use strict';

const { Nameserver } = require('./dns');

// A machine that has much else to do may be late for a few probes in a row; one that is down is refused at once.
const SOON = { type: 'http', interval: '200ms', timeout: '200ms', fall: 4, jitter: '0%' };
const NAMES = ['a', 'b', 'c', 'd'];

class Steered {
  // `answers`: for each region the keys of its answer (tier, weight, requires); `record`: keys of the record; `check`: of every target;
  // `dns`, `more` and `state` (a state_dir) go into the configuration.
  static async start(s, { answers = [{}, { tier: 'backup' }], record = {}, check = {}, dns = {}, more = {}, state, regions } = {}) {
    const t = new Steered(answers, record, { ...SOON, ...check });
    t.regions = regions ?? Object.fromEntries(await Promise.all(NAMES.slice(0, answers.length).map(async (name) => [name, await s.region({ name })])));
    t.names = await Nameserver.start(s, { dns: { records: t.records(), rate: { answers: 0 }, ...dns }, more: { targets: t.targets(), ...(state ? { state_dir: state } : {}), ...more } });
    t.gateway = t.names.gateway;
    return t;
  }

  constructor(answers, record, check) {
    this.answers = answers;
    this.record = record;
    this.check = check;
  }

  // The address of a region.
  address(name) {
    return `192.0.2.${NAMES.indexOf(name) + 1}`;
  }

  targets() {
    return Object.fromEntries(Object.entries(this.regions).map(([name, { port }]) => [name, { check: { ...this.check, url: `http://127.0.0.1:${port}/health` } }]));
  }

  records(more = []) {
    const answers = this.answers.map((keys, i) => ({ target: NAMES[i], a: [this.address(NAMES[i])], ...keys }));
    return [{ name: 'www', ttl_min: '1s', ...this.record, answers }, ...more];
  }

  // Waits until "www" is answered with the addresses of these regions and no others.
  until(...names) {
    return this.names.until('www', names.map((name) => this.address(name)));
  }

  // Which regions are answered now.
  async now(options) {
    const data = await this.names.data('www', 'A', options);
    return NAMES.filter((name) => data.includes(this.address(name))).join('');
  }

  // Waits until the checker has judged every target.
  judged(wanted) {
    const lines = Object.entries(wanted).map(([name, state]) => this.gateway.process.line(new RegExp(`server changed.*server=targets/${name} .*new=${state}`), 8000));
    return Promise.all(lines);
  }

  // What /status says about a target.
  async standing(name) {
    return (await this.gateway.status()).targets.find((target) => target.name === name);
  }

  async ctl(...words) {
    const { code, stderr } = await this.gateway.ctl(...words);
    if (code !== 0) throw new Error(`tidegatectl ${words.join(' ')}: ${stderr}`);
  }
}

module.exports = { Steered };
