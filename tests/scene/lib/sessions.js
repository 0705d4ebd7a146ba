// The stage for sessions: regions that are one cluster, a gateway in front that speaks Phoenix, and for each kind of real client a party:
// a guest who comes through the gateway and a witness who talks to a region that stays out of trouble.
'use strict';

const assert = require('node:assert/strict');
const { KINDS } = require('./guests');
const { servers, verdicts } = require('./pools');
const { waitFor } = require('./wait');

// quick: a region that is gone or frozen is noticed; calm: an operator's word holds, and nobody else's.
const CHECKS = {
  none: { type: 'none' },
  quick: { type: 'websocket', path: '/socket/websocket?vsn=2.0.0', speak: 'phoenix', interval: '500ms', timeout: '500ms', rise: 1, fall: 3 },
  calm: { type: 'tcp', interval: '500ms', timeout: '500ms', rise: 1, fall: 20 },
};
// Regions come back faster than a checker notices that they were gone.
const CIRCUIT = { open: '500ms' };
// The first is where everybody goes, the others are for when it is gone; a scene that wants to see them back says so.
const WEBSOCKET = { protocol: 'phoenix', backoff: { max: '2s' }, move: { fail_back: 'never' } };

// What the servers of a cluster told each other: by which of them a number came to it.
class Journal {
  static async open(redis) {
    const journal = new Journal();
    await redis.subscribe('region:cluster', (bytes) => journal.took(bytes));
    return journal;
  }

  constructor() {
    this.said = []; // {server, room, from, n}
  }

  took(bytes) {
    const end = bytes.indexOf('\n');
    const { kind, from: server, topic } = JSON.parse(bytes.toString('utf8', 0, end));
    const [, from, n] = /"from":"(\w+)","n":(\d+)/.exec(bytes.toString('latin1', end + 1)) ?? [];
    if (kind === 'shout' && from) this.said.push({ server, room: topic.split(':').at(-1), from, n: Number(n) });
  }

  // The numbers by the servers they were told to: of each in the order of `numbers`, and the server with the oldest first.
  async byServer({ room, name }, numbers) {
    const serverOf = (n) => this.said.find((each) => each.room === room && each.from === name && each.n === n)?.server;
    await waitFor(`the cluster to have told of ${numbers}`, () => numbers.every(serverOf), 5000);
    const lists = new Map(numbers.map((n) => [serverOf(n), []]));
    for (const n of numbers) lists.get(serverOf(n)).push(n);
    return [...lists.values()].sort((x, y) => x[0] - y[0]);
  }

  // All that was told, again or not, up to `last`: by server, as it was told there. A server that was there twice has one list.
  async toldTo({ room, name }, last) {
    const ofGuest = () => this.said.filter((each) => each.room === room && each.from === name);
    await waitFor(`the cluster to have told of ${last}`, () => ofGuest().some(({ n }) => n === last), 5000);
    const lists = new Map();
    for (const { server, n } of ofGuest()) lists.set(server, [...(lists.get(server) ?? []), n]);
    return [...lists.values()];
  }
}

const isRising = (numbers) => numbers.every((n, i) => i === 0 || n > numbers[i - 1]);

// What was heard behind something newer, or again.
function lateOf(numbers) {
  let newest = 0;
  return numbers.filter((n) => {
    const isLate = n <= newest;
    newest = Math.max(newest, n);
    return isLate;
  });
}

class Party {
  constructor(stage, Kind, guest, witness) {
    Object.assign(this, { stage, kind: Kind.kind, guest, witness });
  }

  // What a user of the guest may notice of all that happened: nothing.
  undisturbed() {
    const { guest } = this;
    assert.deepEqual(guest.closes, [], 'no WebSocket was closed');
    assert.equal(guest.openCount, 1, 'and none was opened anew');
    assert.deepEqual(guest.statuses, ['SUBSCRIBED']);
  }

  // The channel failed once, and the client joined again by itself, on the same WebSocket.
  rejoined() {
    const { guest } = this;
    assert.deepEqual([guest.closes, guest.openCount], [[], 1]);
    assert.equal(guest.statuses[0], 'SUBSCRIBED');
    assert.equal(guest.statuses.at(-1), 'SUBSCRIBED');
    assert.ok(guest.statuses.slice(1, -1).length > 0 && guest.statuses.slice(1, -1).every((status) => status === 'CHANNEL_ERROR'), guest.statuses.join());
  }

  // Everything the guest says from now on arrives, and what it said before arrived once and in order, but for `mayLose` messages.
  // `losses`: so many servers were lost, and their cluster may be slower than the way from one to the next. So some of those `mayLose` may
  // come late instead: what a lost server had passed to the others last, behind what the next one was told. Each was told newer numbers
  // than the one before it, in order.
  // `mayRepeat`: what is not known to have arrived is said again, before anything newer: no server is told it behind that.
  async arrived({ mayLose = 0, mayRepeat = false, losses = 0 } = {}) {
    const { guest, witness } = this;
    const last = guest.said + 1;
    await guest.say();
    await waitFor(`${this.kind}: the last message`, () => witness.heardFrom(guest.name).includes(last), 10000);
    const heard = witness.heardFrom(guest.name);
    const lost = Array.from({ length: last }, (_, i) => i + 1).filter((n) => !heard.includes(n));
    const late = mayRepeat ? [] : lateOf(heard);
    if (late.length > 0) {
      const lists = losses > 0 ? await this.stage.journal.byServer(guest, heard) : [heard];
      assert.ok(isRising(lists.flat()) && lists.length <= losses + 1, `what the guest said, by server: in order: ${lists.join(' | ')}`);
    }
    assert.ok(lost.length + late.length <= mayLose, `lost: ${lost}; late: ${late}`);
    if (mayRepeat) {
      const lists = await this.stage.journal.toldTo(guest, last);
      assert.ok(lists.every(isRising), `what each server was told: in order: ${lists.join(' | ')}`);
    }
  }

  // The same the other way.
  async hears({ mayLose = 0 } = {}) {
    const { guest, witness } = this;
    const last = witness.said + 1;
    await witness.say();
    await waitFor(`${this.kind}: the last message for the guest`, () => guest.heardFrom(witness.name).includes(last), 10000);
    const heard = guest.heardFrom(witness.name);
    assert.deepEqual(heard, [...new Set(heard)].sort((a, b) => a - b), 'what the guest heard: in order, and none twice');
    assert.ok(last - heard.length <= mayLose, `${last - heard.length} of ${last} were lost`);
  }

  // Both see each other.
  async present() {
    const { guest, witness } = this;
    for (const each of [guest, witness]) await waitFor(`${this.kind}: ${each.name} to see both: ${JSON.stringify(each.seen)}`, () => guest.key in each.seen && witness.key in each.seen);
  }
}

class Stage {
  // `names` of the regions; `knobs`: of all, or by name; `websocket`: of the route; `pool`, `config`: more keys; `routes`: {path: websocket}
  // for several of them; `servers`: by name, keys of a server; `check`: a row of CHECKS.
  static async start(s, { names = ['a', 'b'], knobs = {}, websocket = {}, pool = {}, config = {}, check = 'none', routes = { '/': websocket }, servers: more = {} } = {}) {
    const stage = new Stage(s);
    stage.redis = await s.redis();
    stage.journal = await Journal.open(stage.redis);
    stage.names = names;
    await Promise.all(names.map((name) => stage.region(name, { knobs: knobs[name] ?? knobs.all })));
    await stage.met();
    stage.options = { pool: { check: CHECKS[check], ...pool }, config, routes, more };
    stage.gateway = await s.gateway(stage.config());
    if (check !== 'none') await verdicts(stage.gateway, Object.fromEntries(names.map((name) => [name, 'up'])));
    return stage;
  }

  constructor(s) {
    this.scene = s;
  }

  config(names = this.names) {
    const { pool, config, routes, more } = this.options;
    const regions = names.map((name) => this[name]);
    const tiers = regions.map(({ name }) => ({ tier: name === this.names[0] ? 'primary' : 'backup', ...more[name] }));
    return {
      pools: { p: { circuit: CIRCUIT, servers: servers(regions, ...tiers), ...pool } },
      routes: Object.entries(routes).map(([path, websocket], i) => ({ name: `r${i}`, path, pool: 'p', websocket: { ...WEBSOCKET, ...websocket, move: { ...WEBSOCKET.move, ...websocket.move } } })),
      ...config,
    };
  }

  // Starts a region, or starts it again where it was.
  async region(name, { knobs } = {}) {
    this[name] = await this.scene.region({ name, redis: this.redis.url, port: this[name]?.port, knobs });
    return this[name];
  }

  get regions() {
    return this.names.map((name) => this[name]);
  }

  // Waits until the regions that run are one cluster.
  met() {
    const running = this.regions.filter((region) => region.process.isRunning);
    return Promise.all(running.map((region) => waitFor('the regions to meet', async () => (await region.stats()).cluster.length === running.length - 1)));
  }

  // All regions are back after all were gone; with `settled`, and all sessions of guests and witnesses with them.
  async back({ settled = true, ms = 15000 } = {}) {
    await Promise.all(this.regions.filter((region) => !region.process.isRunning).map((region) => this.region(region.name)));
    await this.met();
    const keys = this.all.flatMap(({ guest, witness }) => [guest.key, witness.key]);
    const here = async () => (await Promise.all(this.regions.map((region) => region.channels()))).flat().filter(({ key }) => keys.includes(key));
    if (settled) await waitFor('all sessions to be back', async () => (await here()).length === keys.length, ms);
  }

  // A party of each kind. The guest's options, and the region of the witness; without one, the witness comes through the gateway as well.
  async parties({ path = '', witness = 'b', kinds = KINDS, ...options } = {}) {
    const made = await Promise.all(kinds.map(async (Kind, i) => {
      const room = `${options.room ?? 'room'}${i}`;
      const url = `${this.gateway.url}${path}`;
      const guest = await Kind.open(this.scene, url, { key: 'ann', track: { who: 'ann' }, ...options, room });
      const { isPrivate, accessToken, heartbeatMs } = options;
      const other = await Kind.open(this.scene, witness ? this[witness].url : url, { key: 'wit', track: { who: 'wit' }, room, isPrivate, accessToken, heartbeatMs });
      return new Party(this, Kind, guest, other);
    }));
    this.all = [...(this.all ?? []), ...made];
    await this.each((party) => party.present(), made);
    return made;
  }

  // Waits until a metric, which must be there, has that sum.
  counts(name, sum, labels) {
    return waitFor(`${name} to be ${sum}`, async () => {
      const metrics = await this.gateway.metrics();
      assert.ok(metrics.types.has(`tidegate_${name}`), `there is no metric ${name}`);
      return metrics.sum(name, labels) === sum;
    });
  }

  // Waits until that many sessions have their server.
  connected(count) {
    return this.counts('sessions', count, { state: 'connected' });
  }

  // Does it for every party at once; an error says whose it is.
  async each(fn, parties = this.all) {
    const results = await Promise.allSettled(parties.map((party) => fn(party)));
    const failed = results.flatMap(({ reason }, i) => (reason ? [[parties[i], reason]] : []));
    if (failed.length === 0) return;
    for (const [{ kind, guest }] of failed) console.error(`--- ${kind}: ${guest.statuses} ${guest.errors} closes: ${guest.closes}\n${guest.frames.slice(-30).join('\n')}`);
    throw new Error(failed.map(([{ kind }, error]) => `${kind}: ${error.message}`).join('; '), { cause: failed[0][1] });
  }

  // Waits until the channels of so many guests (all of them) are on that region.
  settled(name, { count = this.all.length, key = 'ann', ms = 10000 } = {}) {
    return waitFor(`${count} guests on ${name}`, async () => (await this[name].channels()).filter((channel) => channel.key === key).length === count, ms);
  }

  // Everybody talks while `fn` runs, and is heard before and after; `settled`: where the guests are in the end.
  async during(fn, { settled = 'b', ms } = {}) {
    const everybody = this.all.flatMap(({ guest, witness }) => [guest, witness]);
    const both = (count) => this.each(({ guest, witness }) => Promise.all([witness.hears(guest.name, count, ms), guest.hears(witness.name, count, ms)]));
    for (const each of everybody) each.talk();
    await both(5);
    await fn();
    if (settled) await this.settled(settled, { ms });
    await both(20);
    for (const each of everybody) each.hush();
  }
}

module.exports = { Party, Stage };
