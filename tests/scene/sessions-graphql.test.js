// Sessions of graphql-transport-ws: the client and the servers are graphql-ws as people use it. Servers die, leave and come back, and clients do not notice.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const path = require('node:path');
const { createClient } = require('graphql-ws');
const WebSocket = require('ws');
const { request, scene, waitFor, within } = require('./lib');

const CHECK = { type: 'http', path: '/', interval: '300ms', timeout: '250ms', rise: 1, fall: 2 };

async function start(s, name, port) {
  const p = await s.start({ name, command: process.execPath, args: [path.join(__dirname, 'lib', 'graphql_server.js'), name, String(port)], ready: /serves/ });
  return Object.assign(p, { port });
}

class Stage {
  static async open(s, websocket = {}) {
    const stage = new Stage();
    stage.scene = s;
    stage.servers = {};
    for (const name of ['a', 'b']) stage.servers[name] = await start(s, name, await s.freePort());
    const servers = Object.entries(stage.servers).map(([name, { port }]) => ({ name, url: `ws://127.0.0.1:${port}` }));
    stage.gateway = await s.gateway({
      pools: { p: { check: CHECK, circuit: { open: '200ms' }, servers } },
      routes: [{ name: 'graphql', path: '/graphql', pool: 'p', websocket: { protocol: 'graphql-transport-ws', ...websocket } }],
    });
    await waitFor('both to be up', async () => (await stage.gateway.status()).pools[0].servers.every((server) => server.state === 'up'));
    return stage;
  }

  // A client that must not see a close; `closes` are those it saw.
  client(options = {}) {
    const closes = [], pings = [];
    const client = createClient({
      url: `${this.gateway.url}/graphql`,
      webSocketImpl: WebSocket,
      lazy: false,
      retryAttempts: 0,
      onNonLazyError: () => {},
      on: { closed: ({ code, reason }) => closes.push({ code, reason }), ping: (isReceived, payload) => isReceived && pings.push(payload) },
      ...options,
    });
    this.scene.atEnd(() => Promise.resolve(client.dispose()).catch(() => {})); // it may wait for a connection that was refused
    return Object.assign(client, { closes, pings });
  }

  // The number, said in all servers that run, in `last` behind the others; resolves with how many heard it in each.
  async say(n, last) {
    const running = Object.values(this.servers).filter((server) => server.isRunning);
    const counts = [];
    for (const { port } of running.sort((one) => (one.name === last ? 1 : -1)))
      counts.push(Number((await request({ port, method: 'POST', body: String(n) })).text));
    return counts;
  }
}

// What a subscription gives: {numbers, errors, isComplete}.
function listen(client) {
  const heard = { numbers: [], errors: [], isComplete: false };
  client.subscribe({ query: 'subscription { numbers }' }, {
    next: ({ data }) => data.numbers > 0 && heard.numbers.push(data.numbers),
    error: (error) => heard.errors.push(error),
    complete: () => {
      heard.isComplete = true;
    },
  });
  return heard;
}

const ask = (client, query) => within(8000, query, new Promise((resolve, reject) => {
  let result;
  client.subscribe({ query }, { next: ({ data }) => { result = data; }, error: reject, complete: () => resolve(result) });
}));
const server = async (client) => (await ask(client, '{ server }')).server;
const listening = (stage, count) => waitFor(`${count} listeners`, async () => (await stage.say(-1)).reduce((a, b) => a + b, 0) === count);

describe('sessions of graphql-transport-ws', { concurrency: 3 }, () => {
  scene('a server is killed: subscriptions go on elsewhere, queries are asked again, mutations are not', async (s) => {
    const stage = await Stage.open(s);
    const client = stage.client();
    const heard = listen(client);
    await listening(stage, 1);
    const first = await server(client);
    const query = ask(client, '{ slow(ms: 300) }');
    const mutation = assert.rejects(ask(client, 'mutation { slow(ms: 60000) }'), (errors) => errors[0].message === 'gateway: upstream lost');
    await ask(client, '{ server }'); // behind them

    await stage.servers[first].kill();
    await mutation;
    const second = (await query).slow;
    assert.notEqual(second, first);
    await listening(stage, 1);
    heard.numbers.length = 0;
    for (let n = 1; n <= 20; n++) await stage.say(n);
    await waitFor('twenty numbers', () => heard.numbers.length >= 20);
    assert.deepEqual(heard.numbers, Array.from({ length: 20 }, (_, i) => i + 1));
    assert.deepEqual(client.pings, [{ gateway: 'resumed; messages may be missing' }]);
    assert.deepEqual([client.closes, heard.errors, heard.isComplete], [[], [], false]);
  });

  scene('no server for a while: what begins meanwhile waits, and nothing closes', async (s) => {
    const stage = await Stage.open(s, { backoff: { first: '50ms', max: '200ms' } });
    const client = stage.client();
    const heard = listen(client);
    await listening(stage, 1);
    for (const each of Object.values(stage.servers)) await each.kill();
    const asked = server(client);
    const late = listen(client);
    await waitFor('the gateway to see that nobody is there', async () => (await stage.gateway.metrics()).sum('sessions', { state: 'disconnected' }) === 1);
    stage.servers.b = await start(s, 'b', stage.servers.b.port);
    assert.equal(await asked, 'b');
    await listening(stage, 2);
    await stage.say(7);
    await waitFor('the number', () => heard.numbers.includes(7) && late.numbers.includes(7));
    assert.deepEqual([client.closes, heard.errors, late.errors], [[], [], []]);
  });

  scene('without a server for too long the client is told, and begins again on the same WebSocket', async (s) => {
    const stage = await Stage.open(s, { give_up: '300ms', backoff: { first: '50ms', max: '200ms' } });
    const client = stage.client();
    const heard = listen(client);
    await listening(stage, 1);
    for (const each of Object.values(stage.servers)) await each.kill();
    await waitFor('the error', () => heard.errors.length === 1);
    assert.equal(heard.errors[0][0].message, 'gateway: no server');
    const again = listen(client);
    stage.servers.a = await start(s, 'a', stage.servers.a.port);
    await listening(stage, 1);
    await stage.say(7);
    await waitFor('the number', () => again.numbers.includes(7));
    assert.deepEqual(client.closes, []);
  });

  scene('gap: rejoin: subscriptions are ended with an error when messages may be missing', async (s) => {
    const stage = await Stage.open(s, { gap: 'rejoin' });
    const client = stage.client();
    const heard = listen(client);
    await listening(stage, 1);
    await stage.servers[await server(client)].kill();
    await waitFor('the error', () => heard.errors.length === 1);
    assert.equal(heard.errors[0][0].message, 'gateway: resumed; messages may be missing');
    const again = listen(client);
    await listening(stage, 1);
    await stage.say(7);
    await waitFor('the number', () => again.numbers.includes(7));
    assert.deepEqual(client.closes, []);
  });

  scene('a server that drains: every number once and in order, and answers that were under way', async (s) => {
    const stage = await Stage.open(s);
    const client = stage.client();
    const heard = listen(client);
    await listening(stage, 1);
    const first = await server(client);
    const mutation = ask(client, 'mutation { slow(ms: 700) }');
    await ask(client, '{ server }');
    heard.numbers.length = 0;
    let n = 0;
    // What the next server says before it has the subscription, it does not say to us. So it goes first: what is heard of it is then new.
    const say = () => stage.say(++n, first);
    for (let i = 0; i < 10; i++) await say();
    assert.equal((await stage.gateway.ctl('drain', `p/${first}`)).code, 0);
    await waitFor('the move', async () => {
      await say();
      return (await stage.gateway.metrics()).sum('session_moves_total') === 1;
    });
    assert.equal((await mutation).slow, first);
    for (let i = 0; i < 10; i++) await say();
    await waitFor('all numbers', () => heard.numbers.length >= n);
    assert.deepEqual(heard.numbers, Array.from({ length: n }, (_, i) => i + 1));
    assert.notEqual(await server(client), first);
    assert.deepEqual([client.closes, heard.errors, client.pings], [[], [], []]);
  });

  scene('closes of the protocol reach the client: at first, and when another server does not want it', async (s) => {
    const stage = await Stage.open(s);
    const forged = stage.client({ connectionParams: { token: 'forged' } });
    await waitFor('the close', () => forged.closes.length === 1);
    assert.deepEqual(forged.closes, [{ code: 4403, reason: 'Forbidden' }]);

    const client = stage.client({ connectionParams: { token: 'forged-b' }, retryAttempts: 5, retryWait: async () => {} });
    await waitFor('the server that takes it', async () => (await server(client)) === 'a', 8000);
    client.closes.length = 0;
    listen(client);
    await stage.servers.a.kill();
    await waitFor('the close', () => client.closes.length >= 1);
    assert.deepEqual(client.closes[0], { code: 4403, reason: 'Forbidden' });
  });
});
