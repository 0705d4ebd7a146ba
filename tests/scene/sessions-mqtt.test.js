// Sessions of MQTT: mqtt.js and two mosquitto brokers, which know nothing of each other. Brokers die, leave and come back, and clients do not notice.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const mqtt = require('mqtt');
const { scene, waitFor, within } = require('./lib');

const CHECK = { type: 'tcp', interval: '300ms', timeout: '250ms', rise: 1, fall: 2 };
const range = (n) => Array.from({ length: n }, (_, i) => String(i + 1));

class Stage {
  static async open(s, websocket = {}) {
    const stage = new Stage();
    stage.scene = s;
    stage.brokers = { a: await s.mosquitto(), b: await s.mosquitto() };
    const servers = Object.entries(stage.brokers).map(([name, { port }]) => ({ name, url: `ws://127.0.0.1:${port}` }));
    stage.gateway = await s.gateway({
      pools: { p: { check: CHECK, circuit: { open: '200ms' }, servers } },
      routes: [{ name: 'mqtt', path: '/', pool: 'p', websocket: { protocol: 'mqtt', ...websocket } }],
    });
    await waitFor('both to be up', async () => (await stage.gateway.status()).pools[0].servers.every((server) => server.state === 'up'));
    return stage;
  }

  async #connect(url, options) {
    const client = await within(5000, 'an MQTT session', mqtt.connectAsync(`${url}/mqtt`, { reconnectPeriod: 0, ...options }));
    this.scene.atEnd(() => client.endAsync(true));
    return client;
  }

  // Through the gateway; `closes` counts what it must not see.
  async client(options = {}) {
    const client = await this.#connect(this.gateway.url, options);
    client.closes = 0;
    client.on('close', () => client.closes++);
    return client;
  }

  // At a broker itself, with all it hears.
  async witness(name, topic, options) {
    const client = await this.#connect(`ws://127.0.0.1:${this.brokers[name].port}`, options);
    client.heard = [];
    client.on('message', (_, payload, packet) => packet.retain || client.heard.push(payload.toString()));
    await client.subscribeAsync(topic, { qos: 2 });
    return client;
  }

  async revive(name) {
    this.brokers[name] = await this.scene.mosquitto({ port: this.brokers[name].port });
  }

  // At which broker the gateway's only session is.
  async where() {
    const { sessions } = JSON.parse((await this.gateway.ctl('--json', 'sessions')).stdout);
    return sessions.find((each) => each.state === 'connected')?.server.replace('p/', '');
  }
}

const other = (name) => (name === 'a' ? 'b' : 'a');

describe('sessions of MQTT', { concurrency: 3 }, () => {
  for (const protocolVersion of [4, 5]) {
    scene(`version ${protocolVersion}: the broker is killed, and the subscriptions go on at the other one`, async (s) => {
      const stage = await Stage.open(s);
      const client = await stage.client({ protocolVersion, keepalive: 1 });
      const heard = [];
      client.on('message', (topic, payload) => heard.push(`${topic} ${payload}`));
      await client.subscribeAsync(['boats/#', 'cars/+'], { qos: 1 });
      await client.subscribeAsync('trains/#', { qos: 2 });
      await client.unsubscribeAsync('cars/+');
      const first = await waitFor('the first broker', () => stage.where());
      const { port } = stage.brokers[first];
      await stage.brokers[first].kill();
      await waitFor('the other one', async () => (await stage.where()) === other(first));
      const witness = await stage.witness(other(first), 'none');
      for (const [topic, qos] of [['boats/1', 0], ['cars/1', 0], ['boats/2', 1], ['trains/1', 2]]) await witness.publishAsync(topic, 'x', { qos });
      await waitFor('three messages', () => heard.length === 3);
      assert.deepEqual(heard, ['boats/1 x', 'boats/2 x', 'trains/1 x']);
      await client.publishAsync('boats/3', 'mine', { qos: 2 });
      await waitFor('its own', () => heard.length === 4);
      assert.equal(client.closes, 0);
      assert.notEqual(port, stage.brokers[other(first)].port);
    });

    scene(`version ${protocolVersion}: every publish with QoS 1 arrives, whichever broker dies meanwhile`, async (s) => {
      const stage = await Stage.open(s, { queue: 1000, backoff: { first: '50ms', max: '200ms' } });
      const client = await stage.client({ protocolVersion });
      const arrived = new Set();
      const watch = async (name) => {
        const witness = await stage.witness(name, 'n', {});
        witness.on('message', (topic, payload) => arrived.add(payload.toString()));
      };
      await watch('a');
      await watch('b');
      const all = range(300);
      const sent = all.map(async (n, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * 4));
        await client.publishAsync('n', n, { qos: 1 });
      });
      await waitFor('some', () => arrived.size > 30);
      const first = await waitFor('the first broker', () => stage.where());
      await stage.brokers[first].kill();
      await within(15000, 'all acknowledgements', Promise.all(sent));
      await waitFor('all of them', () => arrived.size === all.length);
      assert.equal(client.closes, 0);
    });
  }

  scene('a broker that stands still is found out by heartbeats', async (s) => {
    const stage = await Stage.open(s, { heartbeat: '200ms', dead_after: '1s' });
    const client = await stage.client();
    const heard = [];
    client.on('message', (topic, payload) => heard.push(payload.toString()));
    await client.subscribeAsync('n', { qos: 1 });
    const first = await waitFor('the first broker', () => stage.where());
    stage.brokers[first].child.kill('SIGSTOP');
    const sent = client.publishAsync('n', 'held up', { qos: 1 });
    await within(8000, 'the acknowledgement', sent);
    await waitFor('the message', () => heard.length === 1);
    assert.equal(await stage.where(), other(first));
    assert.equal(client.closes, 0);
    stage.brokers[first].child.kill('SIGCONT');
  });

  scene('no broker for a while: what is published meanwhile is sent when there is one, in order', async (s) => {
    const stage = await Stage.open(s, { backoff: { first: '50ms', max: '200ms' } });
    const client = await stage.client({ keepalive: 1 });
    const heard = [];
    client.on('message', (topic, payload) => heard.push(payload.toString()));
    await client.subscribeAsync('n', { qos: 1 });
    for (const each of Object.values(stage.brokers)) await each.kill();
    await waitFor('the gateway to see that nobody is there', async () => (await stage.gateway.metrics()).sum('sessions', { state: 'disconnected' }) === 1);
    const sent = range(20).map((n) => client.publishAsync('n', n, { qos: 1 }));
    const also = client.subscribeAsync('m', { qos: 0 });
    await new Promise((resolve) => setTimeout(resolve, 2000)); // longer than its keep-alive, which is answered all the same
    await stage.revive('b');
    await within(8000, 'all acknowledgements', Promise.all([...sent, also]));
    await waitFor('all messages', () => heard.length >= 20);
    assert.deepEqual(heard, range(20));
    assert.equal(client.closes, 0);
  });

  scene('a broker that drains: no will, no close, nothing lost and nothing twice', async (s) => {
    const stage = await Stage.open(s);
    const client = await stage.client({ protocolVersion: 5, will: { topic: 'wills', payload: 'dead', qos: 1 } });
    const heard = [];
    client.on('message', (topic, payload) => heard.push(payload.toString()));
    await client.subscribeAsync('n', { qos: 1 });
    const first = await waitFor('the first broker', () => stage.where());
    const wills = await stage.witness(first, 'wills');
    const says = { old: await stage.witness(first, 'none'), next: await stage.witness(other(first), 'none') };
    await says.old.publishAsync('n', 'kept', { retain: true, qos: 1 });
    await says.next.publishAsync('n', 'kept', { retain: true, qos: 1 });
    await waitFor('the first', () => heard.length === 1);
    let n = 0;
    const say = async () => {
      n++;
      for (const who of [says.next, says.old]) await who.publishAsync('n', String(n), { qos: n % 2 });
    };
    for (let i = 0; i < 10; i++) await say();
    assert.equal((await stage.gateway.ctl('drain', `p/${first}`)).code, 0);
    await waitFor('the move', async () => {
      await say();
      return (await stage.where()) === other(first);
    });
    for (let i = 0; i < 10; i++) await say();
    await waitFor('all', () => heard.length >= n + 1);
    assert.deepEqual(heard, ['kept', ...range(n)]);
    assert.deepEqual(wills.heard, []);
    assert.equal(client.closes, 0);
  });

  scene('a session that lives in its broker is closed with it, and a silent client is not kept alive', async (s) => {
    const stage = await Stage.open(s);
    const client = await stage.client({ clean: false, clientId: 'persistent' });
    const code = new Promise((resolve) => client.stream.socket?.once('close', resolve) ?? client.once('close', resolve));
    await stage.brokers[await waitFor('the broker', () => stage.where())].kill();
    await within(5000, 'the close', code);
    assert.equal(client.closes, 1);

    const silent = await stage.client({ protocolVersion: 5, keepalive: 1 });
    const bye = new Promise((resolve) => silent.once('disconnect', resolve));
    silent.sendPing = () => {}; // as if it hung
    silent.keepaliveManager?.destroy();
    assert.equal((await within(5000, 'the good-bye', bye)).reasonCode, 0x8d);
  });
});
