// Gateways and stand-alone checkers that judge the same regions together. Each reaches every region, and the Redis in which they meet, by a
// cable of its own, so that a scene can blind or silence any one of them.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { Cable } = require('./cable');
const { Redis } = require('./redis');
const { Steered } = require('./steered');
const { waitFor } = require('./wait');

// The checker without a gateway.
class Checker {
  // `config`: an object. `args`: more of them.
  static async start(s, config, { name = 'checker', args = [], ready = /checker stands alone/ } = {}) {
    const c = new Checker(fs.mkdtempSync(path.join(s.temp(), `${name}-`)), name);
    c.write(config);
    c.process = await s.start({ name, command: path.join(process.env.TIDEGATE_BUILD, 'tidegate-checker'), args: ['-c', c.file, ...args], ready });
    return c;
  }

  constructor(folder, name) {
    this.folder = folder;
    this.name = name;
    this.file = path.join(folder, 'checker.yaml');
  }

  write(config) {
    const text = typeof config === 'string' ? config : JSON.stringify({ node: { name: this.name }, ...config, log: { level: 'debug', ...config.log } }, null, 2);
    fs.writeFileSync(`${this.file}.new`, `${text}\n`);
    fs.renameSync(`${this.file}.new`, this.file);
  }

  // Has a changed file taken; resolves with the line that says what became of it.
  async reload(config) {
    const mark = this.process.mark();
    this.write(config);
    this.process.signalled('SIGHUP');
    const [line] = await this.process.line(/.*configuration (reloaded|refused).*/, 5000, mark);
    return line;
  }
}

// Someone who judges: `.ways` to the regions by name, `.redis` the way to where they meet.
class Judge {
  static async create(s, quorum, name) {
    const j = new Judge(name);
    j.ways = Object.fromEntries(await Promise.all(Object.entries(quorum.regions).map(async ([region, { port }]) => [region, await Cable.lay(s, port)])));
    if (quorum.redis) j.redis = await Cable.lay(s, quorum.redis.port);
    return j;
  }

  constructor(name) {
    this.name = name;
  }

  // To these regions, or to all.
  blind(...regions) {
    for (const [region, way] of Object.entries(this.ways)) if (regions.length === 0 || regions.includes(region)) way.cut();
  }

  see() {
    for (const way of Object.values(this.ways)) way.mend();
  }
}

class Quorum {
  // Gateways of these names that answer the same zone, with stand-alone checkers beside them; `answers` and more as Steered has them.
  // `redis`: keys of quorum.redis, for another Redis than the one at the end of everybody's cable.
  static async start(s, { gateways = ['fra', 'iad'], checkers = ['watcher'], lifetime = '2s', interval = '200ms', redis, answers = [{}, { tier: 'backup' }], ...steered } = {}) {
    const q = new Quorum(s, { lifetime, interval });
    q.elsewhere = redis;
    if (!redis) q.redis = await Redis.start(s);
    q.regions = Object.fromEntries(await Promise.all(['a', 'b'].slice(0, answers.length).map(async (name) => [name, await s.region({ name })])));
    q.gateways = [];
    for (const name of gateways) await q.gateway(name, { answers, ...steered });
    for (const name of checkers) await q.checker(name);
    return q;
  }

  constructor(scene, pace) {
    this.scene = scene;
    this.pace = pace;
  }

  section(judge) {
    return { redis: this.elsewhere ?? { url: `redis://127.0.0.1:${judge.redis.port}` }, ...this.pace };
  }

  // A Steered with the ways of a Judge; it is also there under its name. `more`: other sections, or what makes them for a Judge and the quorum.
  async gateway(name, { more = {}, ...steered } = {}) {
    const judge = await Judge.create(this.scene, this, name);
    const t = await Steered.start(this.scene, { ...steered, regions: judge.ways, more: { node: { name }, quorum: this.section(judge), ...(typeof more === 'function' ? await more(judge, this) : more) } });
    this[name] = Object.assign(t, { judge, name, blind: (...regions) => judge.blind(...regions), see: () => judge.see() });
    this.gateways.push(t);
    return t;
  }

  async checker(name, more = {}) {
    const judge = await Judge.create(this.scene, this, name);
    const targets = new Steered([], {}, { type: 'http', interval: '200ms', timeout: '200ms', fall: 4, jitter: '0%' });
    targets.regions = judge.ways;
    const c = await Checker.start(this.scene, { targets: targets.targets(), quorum: this.section(judge), ...more }, { name });
    this[name] = Object.assign(c, { judge, blind: (...regions) => judge.blind(...regions), see: () => judge.see() });
    return c;
  }

  // What the quorum says about a target, as a gateway tells: {effective, says: {node: state}}.
  async says(gateway, target) {
    const { quorum } = await gateway.gateway.status();
    return quorum.views.find(({ server }) => server === `targets/${target}`);
  }

  // Waits until a gateway tells that.
  untilSays(gateway, target, wanted) {
    return waitFor(`${gateway.name} to hear about ${target} ${JSON.stringify(wanted)}`, async () => {
      const { effective, says } = await this.says(gateway, target);
      const now = { effective, ...says };
      return Object.entries(wanted).every(([who, state]) => now[who] === state) && now;
    }, 10000);
  }

  // Waits until every gateway answers with this region, each by itself.
  agree(...regions) {
    return Promise.all(this.gateways.map((gateway) => gateway.until(...regions)));
  }

  // The roles of the gateways by name: leads, follows, alone.
  async roles() {
    return Object.fromEntries(await Promise.all(this.gateways.map(async (t) => [t.name, (await t.gateway.status()).quorum.role])));
  }

  // Waits until one leads and the others follow; resolves with {leader, follower}.
  led() {
    return waitFor('one to lead', async () => {
      const roles = await this.roles();
      const leaders = this.gateways.filter(({ name }) => roles[name] === 'leads');
      const followers = this.gateways.filter(({ name }) => roles[name] === 'follows');
      return leaders.length === 1 && followers.length === this.gateways.length - 1 && { leader: leaders[0], follower: followers[0] };
    }, 10000);
  }
}

module.exports = { Checker, Quorum };
