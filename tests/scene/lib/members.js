// Members of realtime topics: who joins, is present, says numbered things and hears those of the others. One kind is a bare client that costs little, so that there can be
// hundreds in one process; the other is the library people use. Both are told of the same things:
//   onHeard(member, topic, payload), onTrouble(member, what): a close nobody asked for, a channel that failed or closed, an answer that did not come.
'use strict';

const WebSocket = require('ws');
const { within } = require('./wait');

const ANSWER_MS = 10000; // for which the libraries wait
const REJOIN_MS = 1000;

const joinOf = (name) => ({ config: { broadcast: { ack: true, self: false }, presence: { key: name, enabled: true }, postgres_changes: [], private: false }, access_token: null });

// Binary kind 3: what realtime-js makes of a broadcast.
function userPush(joinRef, ref, topic, event, payload) {
  const texts = [joinRef, ref, topic, event].map((text) => Buffer.from(text));
  return Buffer.concat([Buffer.from([3, ...texts.map((text) => text.length), 0, 1]), ...texts, Buffer.from(JSON.stringify(payload))]);
}

// Binary kind 4, as [join_ref, ref, topic, event, payload].
function readUserBroadcast(bytes) {
  const [kind, topicLen, eventLen, metadataLen, isJson] = bytes;
  if (kind !== 4 || isJson !== 1) return null;
  const at = 5 + topicLen;
  const event = bytes.toString('utf8', at, at + eventLen);
  const payload = JSON.parse(bytes.toString('utf8', at + eventLen + metadataLen));
  return [null, null, bytes.toString('utf8', 5, at), 'broadcast', { type: 'broadcast', event, payload }];
}

// What presence says, by key: the phx_refs. As the libraries keep it.
class Presence {
  constructor() {
    this.refs = new Map();
  }

  set(state) {
    this.refs = new Map(Object.entries(state).map(([key, { metas }]) => [key, new Set(metas.map((meta) => meta.phx_ref))]));
  }

  change({ joins, leaves }) {
    for (const [key, { metas }] of Object.entries(joins)) {
      if (!this.refs.has(key)) this.refs.set(key, new Set());
      for (const meta of metas) this.refs.get(key).add(meta.phx_ref);
    }
    for (const [key, { metas }] of Object.entries(leaves)) {
      for (const meta of metas) this.refs.get(key)?.delete(meta.phx_ref);
      if (this.refs.get(key)?.size === 0) this.refs.delete(key);
    }
  }
}

class BareMember {
  // `isBinary`: broadcasts as kind 3, else as text.
  constructor(name, url, { isBinary = false, heartbeatMs = 5000 } = {}) {
    Object.assign(this, { name, isBinary, heartbeatMs });
    this.url = `${url}/socket/websocket?vsn=2.0.0&apikey=none`;
    this.refCount = 0;
    this.waiting = new Map(); // ref -> {resolve, timer}
    this.channels = new Map(); // topic -> {joinRef, presence}
    this.notices = []; // {at, topic, message}: what was said about gaps
    this.isLeaving = false;
  }

  async open(topics) {
    this.socket = new WebSocket(this.url, { perMessageDeflate: false });
    this.socket.on('error', () => {});
    await within(20000, `${this.name} to open`, new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('close', (code) => reject(new Error(`${this.name}: closed with ${code}`)));
    }));
    this.socket.on('message', (data, isBinary) => this.#take(isBinary ? readUserBroadcast(data) : JSON.parse(data)));
    this.socket.on('close', (code, reason) => this.isLeaving || this.onTrouble(this, `closed with ${code} ${reason}`));
    this.timer = setInterval(() => this.#beat(), this.heartbeatMs);
    for (const topic of topics) {
      const answer = await this.#join(topic);
      if (answer.status !== 'ok') throw new Error(`${this.name}: ${topic}: ${JSON.stringify(answer)}`);
      await this.#ask(topic, 'presence', { type: 'presence', event: 'track', payload: { name: this.name } });
    }
  }

  #ref() {
    return String(++this.refCount);
  }

  // Resolves with {status, response}, or {status: 'late'}.
  #answer(ref) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waiting.delete(ref);
        resolve({ status: 'late' });
      }, ANSWER_MS);
      this.waiting.set(ref, (answer) => {
        clearTimeout(timer);
        this.waiting.delete(ref);
        resolve(answer);
      });
    });
  }

  #ask(topic, event, payload, ref = this.#ref()) {
    this.socket.send(JSON.stringify([this.channels.get(topic)?.joinRef ?? null, ref, topic, event, payload]));
    return this.#answer(ref);
  }

  #join(topic) {
    const ref = this.#ref();
    this.channels.set(topic, { joinRef: ref, presence: new Presence() });
    return this.#ask(topic, 'phx_join', joinOf(this.name), ref);
  }

  async #beat() {
    const { status } = await this.#ask('phoenix', 'heartbeat', {});
    if (status !== 'ok' && !this.isLeaving) this.onTrouble(this, `heartbeat: ${status}`);
  }

  #take(message) {
    if (message === null) return this.onTrouble(this, 'an unknown binary message');
    const [, ref, topic, event, payload] = message;
    const channel = this.channels.get(topic);
    if (event === 'broadcast') this.onHeard(this, topic, payload.payload);
    else if (event === 'phx_reply') this.#takeReply(ref, payload);
    else if (event === 'presence_state') channel.presence.set(payload);
    else if (event === 'presence_diff') channel.presence.change(payload);
    else if (event === 'system') this.notices.push({ at: Date.now(), topic, ...payload });
    else if (event === 'phx_error') this.#rejoin(topic);
    else this.onTrouble(this, `${event} on ${topic}`);
  }

  #takeReply(ref, answer) {
    const taker = this.waiting.get(ref);
    if (taker) taker(answer);
    else this.onTrouble(this, `an answer nobody waited for: ${ref} ${JSON.stringify(answer)}`);
  }

  // As the libraries do.
  #rejoin(topic) {
    this.onTrouble(this, `phx_error on ${topic}`);
    setTimeout(async () => {
      if (this.isLeaving) return;
      const { status } = await this.#join(topic);
      if (status !== 'ok') return this.#rejoin(topic);
      await this.#ask(topic, 'presence', { type: 'presence', event: 'track', payload: { name: this.name } });
    }, REJOIN_MS);
  }

  // Resolves with 'ok', 'error' or 'late'.
  async say(topic, payload) {
    const ref = this.#ref();
    const { joinRef } = this.channels.get(topic);
    if (this.isBinary) this.socket.send(userPush(joinRef, ref, topic, 'say', payload));
    else this.socket.send(JSON.stringify([joinRef, ref, topic, 'broadcast', { type: 'broadcast', event: 'say', payload }]));
    return (await this.#answer(ref)).status;
  }

  // Who is present, and how often: [[name, count]], in order.
  present(topic) {
    return [...this.channels.get(topic).presence.refs].map(([key, refs]) => [key, refs.size]).sort();
  }

  close() {
    this.isLeaving = true;
    clearInterval(this.timer);
    for (const resolve of [...this.waiting.values()]) resolve({ status: 'late' });
    this.socket.terminate();
  }
}

class LibraryMember {
  constructor(name, url) {
    Object.assign(this, { name, url });
    this.channels = new Map();
    this.notices = [];
    this.isLeaving = false;
  }

  async open(topics) {
    const { RealtimeClient } = require('@supabase/realtime-js'); // takes a moment, which only its users should pay
    const self = this;
    class Watched extends WebSocket {
      constructor(...args) {
        super(...args);
        this.on('close', (code, reason) => self.isLeaving || self.onTrouble(self, `closed with ${code} ${reason}`));
      }
    }
    this.client = new RealtimeClient(`${this.url}/socket`, { params: { apikey: 'none' }, transport: Watched });
    for (const topic of topics) {
      const channel = this.client.channel(topic.replace(/^realtime:/, ''), { config: { broadcast: { ack: true, self: false }, presence: { key: this.name } } });
      this.channels.set(topic, channel);
      channel.on('broadcast', { event: 'say' }, ({ payload }) => this.onHeard(this, topic, payload));
      channel.on('presence', { event: 'sync' }, () => {});
      channel.on('system', {}, (payload) => this.notices.push({ at: Date.now(), topic, ...payload }));
      await within(20000, `${this.name} to subscribe`, new Promise((resolve) => {
        let isFirst = true;
        channel.subscribe((status, error) => {
          if (status !== 'SUBSCRIBED' || !isFirst) this.isLeaving || this.onTrouble(this, `${status} on ${topic} ${error ?? ''}`);
          if (status === 'SUBSCRIBED') resolve();
          isFirst = false;
        });
      }));
      await channel.track({ name: this.name });
    }
  }

  async say(topic, payload) {
    const status = await this.channels.get(topic).send({ type: 'broadcast', event: 'say', payload });
    return status === 'timed out' ? 'late' : status;
  }

  present(topic) {
    return Object.entries(this.channels.get(topic).presenceState()).map(([key, metas]) => [key, metas.length]).sort();
  }

  close() {
    this.isLeaving = true;
    this.client.disconnect();
  }
}

module.exports = { BareMember, LibraryMember };
