// Sessions through chaos: members of topics say numbered things to each other while regions are killed and come back. What is counted is what a user would notice.
'use strict';

const { BareMember, LibraryMember } = require('./members');
const { later, waitFor } = require('./wait');

const CHANNELS = 3; // of each member
const ROOM = 10; // members of a topic

// Numbers below `n`, the same ones for the same seed (xorshift).
function dice(seed) {
  let x = seed | 1;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
}

// Who said what, how that was answered, and who heard it.
class Ledger {
  constructor() {
    this.said = new Map(); // "topic name" -> [undefined, {at, status}, ...] by number
    this.heard = new Map(); // "listener topic name" -> {last, counts: [...]}
    this.troubles = []; // {at, name, what}
    this.duplicates = [];
    this.disorders = [];
  }

  async says(member, topic) {
    const key = `${topic} ${member.name}`;
    if (!this.said.has(key)) this.said.set(key, [undefined]);
    const list = this.said.get(key);
    const entry = { at: Date.now(), status: 'open' };
    const n = list.push(entry) - 1;
    entry.status = await member.say(topic, { from: member.name, n });
    entry.ms = Date.now() - entry.at;
    return entry.status;
  }

  hears(member, topic, { from, n }) {
    const key = `${member.name} ${topic} ${from}`;
    let stream = this.heard.get(key);
    if (!stream) this.heard.set(key, (stream = { last: 0, counts: [] }));
    stream.counts[n] = (stream.counts[n] ?? 0) + 1;
    if (stream.counts[n] > 1) this.duplicates.push(`${key} ${n}`);
    else if (n < stream.last) this.disorders.push(`${key} ${n} after ${stream.last}`);
    stream.last = Math.max(stream.last, n);
  }

  hasHeard(listener, topic, name, n) {
    return this.heard.get(`${listener.name} ${topic} ${name}`)?.counts[n] > 0;
  }

  troubled(member, what) {
    this.troubles.push({ at: Date.now(), name: member.name, what });
  }
}

// What became of every message, for every one who should have heard it. `losses`: when regions were lost; what is missing long
// before and after all of them has no excuse.
function account(ledger, members, losses, excuseMs) {
  const sum = {
    said: 0, ok: 0, error: 0, late: 0, open: 0,
    expected: 0, heard: 0,
    lost: 0, // told ok, not heard by one who should have
    lostAnnounced: 0, // of these: the listener was told of a gap on that topic afterwards
    lostUnexcused: 0, // of these: no region was lost around that time
    okHeardByNobody: 0, // messages
    errorButHeard: 0, // messages
    slowest: 0,
  };
  const byTopic = new Map();
  for (const member of members) for (const topic of member.topics) byTopic.set(topic, [...(byTopic.get(topic) ?? []), member]);
  for (const [key, list] of ledger.said) {
    const [topic, name] = key.split(' ');
    const others = byTopic.get(topic).filter((member) => member.name !== name);
    for (let n = 1; n < list.length; n++) {
      const { at, status, ms } = list[n];
      const listeners = others.filter((member) => ledger.hasHeard(member, topic, name, n));
      sum.said++;
      sum[status] = (sum[status] ?? 0) + 1;
      sum.slowest = Math.max(sum.slowest, ms ?? 0);
      if (status !== 'ok') {
        sum.errorButHeard += status === 'error' && listeners.length > 0;
        continue;
      }
      sum.expected += others.length;
      sum.heard += listeners.length;
      sum.okHeardByNobody += listeners.length === 0;
      for (const member of others.filter((each) => !listeners.includes(each))) {
        sum.lost++;
        sum.lostAnnounced += member.notices.some((notice) => notice.topic === topic && notice.at >= at && notice.at - at < excuseMs);
        sum.lostUnexcused += !losses.some((loss) => Math.abs(loss.at - at) < excuseMs);
      }
    }
  }
  return sum;
}

class Soak {
  // members: how many, `library` of them with the library; regions; `websocket`: keys of the route; `seed` of what happens when.
  static async start(s, { members = 100, library = 10, regions = 3, websocket = {}, workers = 1, seed = 1, log = 'warn', check = {} } = {}) {
    const soak = new Soak(s, seed);
    soak.redis = await s.redis();
    soak.regions = await Promise.all(Array.from({ length: regions }, (_, i) => s.region({ name: `region-${i}`, redis: soak.redis.url })));
    await soak.#met();
    soak.gateway = await s.gateway({
      workers,
      log: { level: log, access: false },
      pools: { p: { check: { type: 'http', path: '/health', interval: '500ms', timeout: '500ms', fall: 3, watch: true, ...check }, servers: soak.regions.map(({ name, url }) => ({ name, url })) } },
      routes: [{ path: '/', pool: 'p', websocket: { protocol: 'phoenix', heartbeat: '2s', dead_after: '5s', ...websocket } }],
    });
    await soak.#open(members, library);
    return soak;
  }

  constructor(scene, seed) {
    this.scene = scene;
    this.roll = dice(seed);
    this.ledger = new Ledger();
    this.losses = [];
    this.drainCount = 0;
    this.members = [];
  }

  // All regions that run know each other.
  #met(ms = 10000) {
    return waitFor('the regions to meet', async () => {
      const stats = await Promise.all(this.regions.filter((r) => !r.isDown).map((r) => r.stats()));
      return stats.every(({ cluster }) => cluster.length === stats.length - 1);
    }, ms);
  }

  async #open(count, library) {
    const every = library > 0 ? Math.floor(count / library) : Infinity;
    for (let i = 0; i < count; i++) {
      const name = `m${i}`;
      const member = i % every === 0 ? new LibraryMember(name, this.gateway.url) : new BareMember(name, this.gateway.url, { isBinary: i % 2 === 0 });
      const room = Math.floor(i / ROOM);
      member.topics = Array.from({ length: CHANNELS }, (_, c) => `realtime:room-${room}-${c}`);
      member.onHeard = (...args) => this.ledger.hears(...args);
      member.onTrouble = (...args) => this.ledger.troubled(...args);
      this.members.push(member);
    }
    this.scene.atEnd(() => {
      for (const member of this.members) member.close();
    });
    for (let i = 0; i < count; i += 50) await Promise.all(this.members.slice(i, i + 50).map((member) => member.open(member.topics)));
  }

  // Everybody says something on a topic of its own choice, again and again, `everyMs` each.
  async #talk(member, everyMs) {
    await later(this.roll(everyMs));
    for (let i = 0; !this.isOver; i++) {
      this.ledger.says(member, member.topics[i % CHANNELS]);
      await later(everyMs);
    }
  }

  // Regions are lost and come back at any time, one at least is there.
  async #havoc(ms, { pauseMs = [500, 2500], goneMs = [300, 2000], kinds = ['killed'] } = {}) {
    const between = ([min, max]) => min + this.roll(max - min);
    const end = Date.now() + ms;
    const back = [];
    for (;;) {
      const pause = between(pauseMs);
      if (Date.now() + pause > end) break;
      await later(pause);
      const up = this.regions.filter((region) => !region.isDown);
      if (up.length > 1) back.push(this.#lose(up[this.roll(up.length)], kinds[this.roll(kinds.length)], between(goneMs)));
    }
    await Promise.all([...back, later(end - Date.now())]);
  }

  async #lose(region, kind, goneMs) {
    region.isDown = true;
    if (kind === 'drained') return this.#drain(region, goneMs);
    this.losses.push({ at: Date.now(), kind, name: region.name });
    if (kind === 'paused') region.freeze();
    else if (kind === 'stopped') await region.stop();
    else await region.kill();
    await later(goneMs);
    if (kind === 'paused') {
      region.thaw();
      region.isDown = false;
    } else {
      this.regions[this.regions.indexOf(region)] = await this.scene.region({ name: region.name, port: region.port, redis: this.redis.url });
    }
  }

  // Its sessions are moved away while it lives: nothing may be lost by that.
  async #drain(region, goneMs) {
    for (const verb of ['drain', 'undrain']) {
      const { code, stderr } = await this.gateway.ctl(verb, `p/${region.name}`);
      if (code !== 0) throw new Error(`${verb} ${region.name}: ${stderr}`);
      if (verb === 'drain') await later(goneMs);
    }
    this.drainCount++;
    region.isDown = false;
  }

  // Plays for so long, and waits until it is calm: everybody hears everybody, and sees everybody once.
  async run(ms, { everyMs = 1000, ...havoc } = {}) {
    const talks = this.members.map((member) => this.#talk(member, everyMs));
    await later(Math.min(2 * everyMs, 1000));
    await this.#havoc(ms, havoc);
    this.isOver = true;
    await Promise.all(talks);
    await this.#met(20000);
    await this.#answered();
    await this.#calm();
    return account(this.ledger, this.members, this.losses, 5000);
  }

  #answered() {
    return waitFor('all answers', () => [...this.ledger.said.values()].every((list) => list.every((entry) => entry?.status !== 'open')), 20000);
  }

  // One more message each, on each topic, that all must hear; and presence.
  async #calm() {
    this.calm = { said: 0, failed: 0 };
    await waitFor('a round in which nothing is lost', async () => {
      const statuses = await Promise.all(this.members.flatMap((member) => member.topics.map((topic) => this.ledger.says(member, topic))));
      return statuses.every((status) => status === 'ok');
    }, 20000);
    await waitFor('everybody to hear the last words', () => this.deaf().length === 0, 5000).catch(() => {});
    await waitFor('presence to be complete', () => this.strangers().length === 0, 15000).catch(() => {});
  }

  // Who has not heard the last words of whom: ["listener topic speaker"].
  deaf() {
    const found = [];
    this.#pairs((member, topic, other) => {
      const last = this.ledger.said.get(`${topic} ${other.name}`)?.length - 1;
      if (last > 0 && !this.ledger.hasHeard(member, topic, other.name, last)) found.push(`${member.name} ${topic} ${other.name}`);
    });
    return found;
  }

  // Who does not see exactly everybody once: ["member topic: whom, how often"].
  strangers() {
    const found = [];
    for (const member of this.members) {
      for (const topic of member.topics) {
        const wanted = this.members.filter((other) => other.topics.includes(topic)).map(({ name }) => [name, 1]).sort();
        const seen = member.present(topic);
        if (JSON.stringify(seen) !== JSON.stringify(wanted)) found.push(`${member.name} ${topic}: ${seen.map((each) => each.join(' x')).join(', ')}`);
      }
    }
    return found;
  }

  #pairs(visit) {
    const byTopic = new Map();
    for (const member of this.members) for (const topic of member.topics) byTopic.set(topic, [...(byTopic.get(topic) ?? []), member]);
    for (const [topic, list] of byTopic) for (const member of list) for (const other of list) if (member !== other) visit(member, topic, other);
  }
}

module.exports = { Soak };
