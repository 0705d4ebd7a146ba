// Guests: real clients of realtime servers, each on one channel, that count what a user of them would notice. Three kinds: the newest
// realtime-js (vsn 2.0.0 with binary broadcasts), 2.15 (vsn 1.0.0), and phoenix on a channel of a plain Phoenix server.
'use strict';

const WebSocket = require('ws');
const phoenix = require('phoenix');
const { waitFor, within } = require('./wait');

const SAY_MS = 10;

// What every WebSocket a client makes goes through.
const counting = (guest) => class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: false });
    guest.webSocket = this; // the newest one
    this.on('open', () => { guest.openCount += 1; });
    this.on('close', (code, reason) => {
      if (!guest.isOver) guest.closes.push(`${code} ${reason}`);
    });
    this.on('message', (data, isBinary) => guest.frames.push(isBinary ? `<${Buffer.from(data).toString('latin1', 0, 300)}>` : data.toString().slice(0, 300)));
  }
};

class Guest {
  // `room`: of the channel; `key`: of its presence, "" for one the server thinks of; `ack`, `self`: of its broadcasts; `changes`: what it
  // wants to hear of the tables; `accessToken`: a function; `track`: what it is present with from the start.
  constructor(s, url, { room = 'room', key = '', name = key, ack = false, self = false, isPrivate = false, changes = [], accessToken, track, heartbeatMs = 25000 } = {}) {
    Object.assign(this, { scene: s, url, room, key, name, ack, self, isPrivate, wanted: changes, accessToken, meta: track, heartbeatMs });
    this.openCount = 0;
    this.closes = [];
    this.statuses = []; // SUBSCRIBED, CHANNEL_ERROR, TIMED_OUT, CLOSED
    this.errors = [];
    this.heard = []; // {from, n}
    this.systems = [];
    this.changes = []; // {at: place in `wanted`, type, record}
    this.seen = {}; // who was present at the last look
    this.missed = []; // keys that were present and then were not
    this.said = 0;
    this.answers = []; // of what was said
    this.frames = []; // for people
    s.atEnd(() => this.end());
  }

  static async open(s, url, options) {
    const guest = new this(s, url, options);
    await guest.begin();
    await guest.is('SUBSCRIBED');
    await guest.appear();
    return guest;
  }

  // What apps do at every SUBSCRIBED of theirs: the libraries join again by themselves, but track nobody.
  async appear() {
    if (this.meta && !this.isPresentByJoin) await waitFor(`${this.name} to be tracked`, async () => (await this.track(this.meta)) === 'ok');
  }

  // Waits until the newest status is that one; with `count`, until it came so often.
  is(status, { count = 1, ms = 10000 } = {}) {
    return waitFor(`${this.kind} ${this.name} to be ${status}: ${this.statuses}`, () => this.statuses.at(-1) === status && this.statuses.filter((each) => each === status).length >= count, ms);
  }

  took(status, error) {
    if (this.isOver) return;
    this.statuses.push(status);
    if (error) this.errors.push(String(error.message ?? error));
  }

  looked(state) {
    for (const key of Object.keys(this.seen)) if (!(key in state)) this.missed.push(key);
    this.seen = Object.fromEntries(Object.entries(state).map(([key, metas]) => [key, metas.length]));
  }

  // Says the next number.
  say(event = 'n') {
    this.said += 1;
    const n = this.said;
    const answer = this.push(event, { from: this.name, n });
    answer.then((how) => { this.answers.push([n, how]); }, () => {});
    return answer;
  }

  // Says one number after the other until hush().
  talk(ms = SAY_MS) {
    this.talking = setInterval(() => this.say(), ms);
    this.scene.atEnd(() => clearInterval(this.talking));
  }

  hush() {
    clearInterval(this.talking);
    return this.said;
  }

  heardFrom(name) {
    return this.heard.filter((each) => each.from === name).map((each) => each.n);
  }

  // Waits until so many more numbers of that guest have been heard.
  hears(name, count = 1, ms = 10000) {
    const before = this.heardFrom(name).length;
    return waitFor(`${this.kind} ${this.name} to hear ${count} more from ${name}`, () => this.heardFrom(name).length >= before + count, ms);
  }

  end() {
    this.isOver = true;
    clearInterval(this.talking);
    return this.hangUp();
  }
}

class RealtimeGuest extends Guest {
  async begin() {
    const { RealtimeClient } = require(this.constructor.library);
    const token = this.accessToken ? { accessToken: async () => this.accessToken() } : {};
    this.client = new RealtimeClient(`${this.url}/socket`, { params: { apikey: 'none' }, transport: counting(this), heartbeatIntervalMs: this.heartbeatMs, ...token });
    if (this.accessToken) await this.client.setAuth(); // as its users are told to, before they join what is private
    this.join();
  }

  join() {
    const config = { broadcast: { self: this.self, ack: this.ack }, presence: { key: this.key, enabled: true }, private: this.isPrivate };
    this.channel = this.client.channel(this.room, { config });
    for (const event of ['n', 'poison']) this.channel.on('broadcast', { event }, ({ payload }) => this.heard.push(payload));
    this.channel.on('presence', { event: 'sync' }, () => this.looked(this.channel.presenceState()));
    this.channel.on('system', {}, (payload) => this.systems.push(payload));
    this.wanted.forEach((filter, at) => this.channel.on('postgres_changes', filter, (change) => this.changes.push({ at, type: change.eventType, record: change.new })));
    this.channel.subscribe((status, error) => this.took(status, error));
  }

  push(event, payload) {
    return this.channel.send({ type: 'broadcast', event, payload });
  }

  track(meta) {
    return this.channel.track(meta);
  }

  leave() {
    return within(5000, `${this.name} to leave`, this.channel.unsubscribe());
  }

  hangUp() {
    this.client.disconnect();
  }
}

class RealtimeNow extends RealtimeGuest {
  static kind = 'realtime-js';
  static library = '@supabase/realtime-js';
  kind = RealtimeNow.kind;
}

class Realtime215 extends RealtimeGuest {
  static kind = 'realtime-js 2.15';
  static library = 'realtime-js-2-15';
  kind = Realtime215.kind;
}

class PhoenixGuest extends Guest {
  static kind = 'phoenix';
  kind = PhoenixGuest.kind;
  isPresentByJoin = true; // it is the server's own code that tracks on such a channel

  begin() {
    this.client = new phoenix.Socket(`${this.url}/socket`, { transport: counting(this), heartbeatIntervalMs: this.heartbeatMs });
    this.client.connect();
    this.join();
  }

  join() {
    const params = () => ({ key: this.key, ...(this.meta ? { track: this.meta } : {}), ...(this.accessToken ? { access_token: this.accessToken() } : {}) });
    this.channel = this.client.channel(`room:${this.room}`, params);
    this.presence = new phoenix.Presence(this.channel);
    this.presence.onSync(() => this.looked(Object.fromEntries(this.presence.list((key, { metas }) => [key, metas]))));
    for (const event of ['n', 'poison']) this.channel.on(event, (payload) => this.heard.push(payload));
    this.channel.on('system', (payload) => this.systems.push(payload));
    this.channel.onError((error) => this.took('CHANNEL_ERROR', error));
    this.channel.onClose(() => this.took('CLOSED'));
    this.channel.join()
      .receive('ok', () => this.took('SUBSCRIBED'))
      .receive('error', (response) => this.took('CHANNEL_ERROR', response.reason))
      .receive('timeout', () => this.took('TIMED_OUT'));
  }

  push(event, payload) {
    return this.#answer(this.channel.push(event, payload));
  }

  #answer(push) {
    return new Promise((resolve) => {
      for (const [status, word] of [['ok', 'ok'], ['error', 'error'], ['timeout', 'timed out']]) push.receive(status, () => resolve(word));
    });
  }

  leave() {
    return within(5000, `${this.name} to leave`, this.#answer(this.channel.leave()));
  }

  hangUp() {
    return new Promise((resolve) => this.client.disconnect(resolve));
  }
}

const KINDS = [RealtimeNow, Realtime215, PhoenixGuest];

module.exports = { Guest, KINDS };
