// The example backend in the part of Supabase Realtime: changes of rows, tokens, joins that take their time or are refused, and what
// a server does of its own accord.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Client, request, scene, token, waitFor } = require('./lib');

const TOPIC = 'realtime:room';

// A client that speaks frames of vsn 2.0.0, and takes them by what they are.
class Talker {
  static async open(s, region, query = '') {
    const t = new Talker();
    t.client = await Client.open(s, `${region.url}/socket/websocket?vsn=2.0.0${query}`);
    t.count = 0;
    return t;
  }

  say(topic, event, payload, { ref = String(++this.count), joinRef = ref } = {}) {
    this.client.send(JSON.stringify([joinRef, ref, topic, event, payload]));
    return ref;
  }

  join(config = {}, more = {}, topic = TOPIC) {
    return this.say(topic, 'phx_join', { config: { presence: { enabled: false }, ...config }, ...more });
  }

  // The next frame that is not of the kind `besides`, which is to be of that event; its payload.
  async next(event, { besides } = {}) {
    const [joinRef, ref, topic, name, payload] = JSON.parse(await this.client.message());
    if (name === besides) return this.next(event, { besides });
    assert.equal(name, event, `${name} came: ${JSON.stringify(payload)}`);
    this.last = { joinRef, ref, topic };
    return payload;
  }

  async reply(options) {
    const { status, response } = await this.next('phx_reply', options);
    return [status, response];
  }
}

describe('region: changes of rows', { concurrency: true }, () => {
  scene('a channel hears of the rows it asked for, from its own region and from another', async (s) => {
    const { url } = await s.redis();
    const [us, eu] = await Promise.all([s.region({ name: 'us-a', redis: url }), s.region({ name: 'eu-a', redis: url })]);
    await waitFor('the regions to meet', async () => (await us.stats()).cluster.length === 1 && (await eu.stats()).cluster.length === 1);
    const wanted = [{ event: 'UPDATE', schema: 'public', table: 'cars' }, { event: '*', schema: 'public', table: 'cars', filter: 'owner=eq.7' }];
    const [a, b] = [await Talker.open(s, us), await Talker.open(s, eu)];
    const listed = [];
    for (const t of [a, b]) {
      t.join({ postgres_changes: wanted });
      const [status, response] = await t.reply();
      assert.equal(status, 'ok');
      listed.push(response.postgres_changes);
      assert.deepEqual(await t.next('system'), { extension: 'postgres_changes', status: 'ok', message: 'Subscribed to PostgreSQL', channel: 'room' });
    }
    assert.deepEqual(listed[0].map(({ id, ...rest }) => rest), wanted, 'in the order of the client');
    assert.deepEqual(listed[0], listed[1], 'ids are the same in both regions');
    const [update, mine] = listed[0].map(({ id }) => id);
    assert.notEqual(update, mine);

    const [row] = await us.rows('POST', 'cars', { owner: 7, make: 'vw' });
    await us.rows('POST', 'cars', { owner: 8, make: 'bmw' });
    await us.rows('POST', 'bikes', { owner: 7 });
    await us.rows('PATCH', 'cars', { make: 'kia' }, '?owner=eq.8');
    await us.rows('DELETE', 'cars', undefined, '?owner=eq.7');
    const seen = [];
    for (const t of [a, b]) {
      const frames = [await t.next('postgres_changes'), await t.next('postgres_changes'), await t.next('postgres_changes')];
      assert.deepEqual(frames.map(({ ids, data }) => [ids, data.type]), [[[mine], 'INSERT'], [[update], 'UPDATE'], [[mine], 'DELETE']]);
      assert.deepEqual(frames[0].data.record, { id: row.id, owner: 7, make: 'vw' });
      assert.equal(frames[1].data.old_record.make, 'bmw');
      assert.deepEqual(frames[2].data.old_record, frames[0].data.record);
      assert.deepEqual(t.last, { joinRef: null, ref: null, topic: TOPIC });
      seen.push(frames);
    }
    assert.deepEqual(seen[0], seen[1]);
  });

  scene('changes flow only after the word that they do', async (s) => {
    const region = await s.region({ knobs: { ready_delay: '400ms' } });
    const t = await Talker.open(s, region);
    t.join({ postgres_changes: [{ event: '*', schema: 'public' }] });
    assert.equal((await t.reply())[0], 'ok');
    await region.rows('POST', 'cars', { make: 'lost' });
    await t.next('system');
    await region.rows('POST', 'cars', { make: 'told' });
    assert.equal((await t.next('postgres_changes')).data.record.make, 'told');
  });
});

describe('region: broadcasts of the database', { concurrency: true }, () => {
  scene('they have an id, and a private channel gets what it missed in another region', async (s) => {
    const { url } = await s.redis();
    const [us, eu] = await Promise.all([s.region({ name: 'us-a', redis: url }), s.region({ name: 'eu-a', redis: url })]);
    await waitFor('the regions to meet', async () => (await us.stats()).cluster.length === 1 && (await eu.stats()).cluster.length === 1);
    const query = `&apikey=${token()}`;
    const [live, there, late] = [await Talker.open(s, us, query), await Talker.open(s, eu, query), await Talker.open(s, eu, query)];
    for (const talker of [live, there]) {
      talker.join({ private: true });
      await talker.reply();
    }
    await us.broadcast('room', 'news', { n: 0 });
    for (const talker of [live, there]) await talker.client.message();
    const since = Date.now() + 1;
    await waitFor('the next millisecond', () => Date.now() > since);
    for (const n of [1, 2, 3]) await us.broadcast('room', 'news', { n });
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const frame = await live.client.message(); // kind 4: sizes of topic, event and metadata, the encoding, and they themselves
      assert.deepEqual([...frame.subarray(0, 5)], [4, TOPIC.length, 4, frame[3], 1]);
      ids.push(JSON.parse(frame.toString('utf8', 5 + TOPIC.length + 4, 5 + TOPIC.length + 4 + frame[3])).id);
    }
    for (let i = 0; i < 3; i++) await there.client.message(); // its region knows of all of them
    const joinRef = late.join({ private: true, broadcast: { replay: { since, limit: 2 } } });
    await late.reply();
    for (const n of [2, 3]) {
      assert.deepEqual(await late.next('broadcast'), { type: 'broadcast', event: 'news', payload: { n }, meta: { id: ids[n - 1], replayed: true } });
      assert.deepEqual(late.last, { joinRef, ref: null, topic: TOPIC });
    }
  });
});

describe('region: tokens', { concurrency: true }, () => {
  scene('who comes with an expired one is refused, whose expires is closed, and a fresh one keeps the channel', async (s) => {
    const region = await s.region();
    const t = await Talker.open(s, region);
    t.join({}, { access_token: token(-10) });
    const [status, { reason }] = await t.reply();
    assert.equal(status, 'error');
    assert.match(reason, /^InvalidJWTToken: Token has expired 1\d seconds ago$/);
    const ref = t.join({}, { access_token: token(2) });
    assert.equal((await t.reply())[0], 'ok');
    const other = t.join({}, { access_token: token(2) }, 'realtime:kept');
    assert.equal((await t.reply())[0], 'ok');
    t.say('realtime:kept', 'access_token', { access_token: token(600) }, { joinRef: other });
    const { message, ...rest } = await t.next('system');
    assert.deepEqual(rest, { extension: 'system', status: 'error', channel: 'room' });
    assert.match(message, /^Token has expired \d seconds ago$/);
    await t.next('phx_close');
    assert.deepEqual(t.last, { joinRef: ref, ref, topic: TOPIC });
    assert.deepEqual((await region.channels()).map(({ topic }) => topic), ['realtime:kept']);
    t.say('realtime:kept', 'access_token', { access_token: token(-1) }, { joinRef: other });
    assert.equal((await t.next('system')).status, 'error');
    await t.next('phx_close');
  });

  scene('a private channel is for who has one, be it in the query', async (s) => {
    const region = await s.region();
    const [without, withOne] = [await Talker.open(s, region, '&apikey=none'), await Talker.open(s, region, `&apikey=${token()}`)];
    for (const t of [without, withOne]) t.join({ private: true });
    assert.match((await without.reply())[1].reason, /^Unauthorized: /);
    assert.equal((await withOne.reply())[0], 'ok');
    assert.equal((await region.channels())[0].private, true);
  });
});

describe('region: joins', { concurrency: true }, () => {
  scene('one that takes its time blocks its WebSocket, heartbeats included, and no other', async (s) => {
    const region = await s.region({ knobs: { join_delay: '500ms', join_error: 'Nobody: sorry', join_error_count: 1, join_error_delay: '300ms', join_topic: 'room' } });
    const [t, other] = [await Talker.open(s, region), await Talker.open(s, region)];
    const start = Date.now();
    const refs = [t.join(), t.say('phoenix', 'heartbeat', {}), t.join(), t.join({}, {}, 'realtime:else')];
    other.say('phoenix', 'heartbeat', {});
    assert.equal((await other.reply())[0], 'ok');
    assert.ok(Date.now() - start < 290, 'the other one was not held up');
    assert.deepEqual(await t.reply(), ['error', { reason: 'Nobody: sorry' }]);
    const late = Date.now() - start;
    for (const ref of refs.slice(1)) {
      assert.equal((await t.reply())[0], 'ok');
      assert.equal(t.last.ref, ref);
    }
    assert.ok(late >= 290 && Date.now() - start >= 790, 'one after the other');
  });

  scene('too many joins close the WebSocket with 1001', async (s) => {
    const region = await s.region({ knobs: { join_error: 'ClientJoinRateLimitReached: Too many joins per second' } });
    const t = await Talker.open(s, region);
    t.join();
    assert.equal((await t.reply())[0], 'error');
    assert.equal((await t.client.closing()).code, 1001);
  });

  scene('a version may be refused', async (s) => {
    const region = await s.region({ knobs: { refuse_vsn: '2.' } });
    const open = async (vsn) => (await Client.open(s, `${region.url}/socket/websocket?vsn=${vsn}`, { mayFail: true })).refused?.status;
    assert.deepEqual([await open('1.0.0'), await open('2.0.0')], [undefined, 403]);
  });
});

describe('region: of its own accord', { concurrency: true }, () => {
  for (const [what, message, event] of [
    ['close', undefined, 'phx_close'], ['error', undefined, 'phx_error'], ['rate', /^Too many messages per second$/, 'phx_close'],
    ['presence', /rate limit/, 'phx_close'], ['expire', /^Token has expired/, 'phx_close'], ['revoke', /permission/, 'phx_close'],
  ]) {
    scene(`${what}: a channel is ended with ${event}`, async (s) => {
      const region = await s.region();
      const t = await Talker.open(s, region);
      const ref = t.join();
      await t.reply();
      t.join({}, {}, 'realtime:other');
      await t.reply();
      assert.equal(await region.trouble(what, TOPIC), 1);
      if (message) assert.match((await t.next('system')).message, message);
      assert.deepEqual(await t.next(event), {});
      assert.deepEqual(t.last, { joinRef: ref, ref, topic: TOPIC });
      t.say(TOPIC, 'whoami', {}, { joinRef: ref });
      assert.deepEqual(await t.reply(), ['error', { reason: 'unmatched topic' }]);
      assert.equal((await region.channels()).length, 1);
    });
  }

  scene('disconnect: a word on each channel, then 1012', async (s) => {
    const region = await s.region();
    const t = await Talker.open(s, region);
    t.join();
    await t.reply();
    assert.equal(await region.trouble('disconnect'), 1);
    assert.equal((await t.next('system')).message, 'Server requested disconnect');
    assert.equal((await t.client.closing()).code, 1012);
    assert.equal((await request({ port: region.port, path: '/_channels?do=nothing', method: 'POST' })).status, 400);
  });

  scene('a node that stops closes one WebSocket after the other, takes no more joins, and its channels are gone at once', async (s) => {
    const { url } = await s.redis();
    const [us, eu] = await Promise.all([s.region({ name: 'us-a', redis: url, knobs: { drain: '1s' } }), s.region({ name: 'eu-a', redis: url })]);
    await waitFor('the regions to meet', async () => (await us.stats()).cluster.length === 1 && (await eu.stats()).cluster.length === 1);
    const [watcher, ...here] = await Promise.all([eu, us, us].map((region) => Talker.open(s, region)));
    watcher.join({ presence: { enabled: true } });
    await watcher.reply();
    assert.deepEqual(await watcher.next('presence_state'), {});
    for (const [i, t] of here.entries()) {
      const joinRef = t.join({ presence: { enabled: false, key: `u${i}` } });
      await t.reply();
      t.say(TOPIC, 'presence', { type: 'presence', event: 'track', payload: {} }, { joinRef });
      await t.reply({ besides: 'presence_diff' }); // those on a topic hear of all
      assert.deepEqual(Object.keys((await watcher.next('presence_diff')).joins), [`u${i}`]);
    }
    const stopped = us.stop();
    const gone = Object.keys((await watcher.next('presence_diff')).leaves)[0];
    const [first, second] = gone === 'u0' ? here : [here[1], here[0]];
    assert.equal((await first.client.closing()).code, 1012);
    second.join({}, {}, 'realtime:late');
    assert.match((await second.reply({ besides: 'presence_diff' }))[1].reason, /^RealtimeRestarting: /);
    assert.equal((await second.client.closing()).code, 1012);
    await stopped;
  });

  scene('hang=ack: what is said is taken, and not answered', async (s) => {
    const region = await s.region({ knobs: { hang: 'ack' } });
    const [a, b] = [await Talker.open(s, region), await Talker.open(s, region)];
    const joinRef = a.join({ broadcast: { ack: true } });
    await a.reply();
    b.join();
    await b.reply();
    a.say(TOPIC, 'broadcast', { type: 'broadcast', event: 'x', payload: 1 }, { joinRef });
    assert.equal((await b.next('broadcast')).payload, 1);
    a.say('phoenix', 'heartbeat', {});
    assert.equal((await a.reply())[0], 'ok');
    assert.equal(a.last.topic, 'phoenix');
  });

  scene('a poison message kills it', async (s) => {
    const region = await s.region({ knobs: { stop_after_event: 'poison' } });
    const t = await Talker.open(s, region);
    const joinRef = t.join();
    await t.reply();
    t.say(TOPIC, 'broadcast', { type: 'broadcast', event: 'fine', payload: 1 }, { joinRef });
    t.say('phoenix', 'heartbeat', {});
    assert.equal((await t.reply())[0], 'ok');
    t.say(TOPIC, 'broadcast', { type: 'broadcast', event: 'poison', payload: 1 }, { joinRef });
    assert.equal((await t.client.closing()).code, 1006);
    await region.process.exited;
    assert.equal(region.process.signal, 'SIGKILL');
  });
});
