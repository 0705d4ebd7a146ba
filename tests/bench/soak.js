'use strict';
// Hundreds of sessions through minutes of chaos: what the scene tests/scene/sessions-soak.test.js plays for seconds, and the figures of it. What happens when is
// decided by the seed, which is printed. From outside: SOAK_SEED, SOAK_MINUTES, SOAK_MEMBERS, and SOAK_KINDS, how regions are lost (killed,stopped,paused).
const { integer } = require('./lib/table.js');

const MEMBERS = 500;
const LIBRARY = 20; // of them realtime-js

const setting = (name, otherwise) => Number(process.env[`SOAK_${name.toUpperCase()}`]) || otherwise;

function rows(soak, sum) {
  const { ledger } = soak;
  const closes = ledger.troubles.filter(({ what }) => what.startsWith('closed'));
  const percent = (part, whole) => `${integer(part)} (${((100 * part) / Math.max(whole, 1)).toFixed(3)} %)`;
  return [
    ['regions lost', integer(soak.losses.length)],
    ['sessions closed', integer(closes.length)],
    ['channels that failed, and other complaints', integer(ledger.troubles.length - closes.length)],
    ['heard twice', integer(ledger.duplicates.length)],
    ['heard out of order', integer(ledger.disorders.length)],
    ['messages said', integer(sum.said)],
    ['- answered ok', percent(sum.ok, sum.said)],
    ['- answered with an error', percent(sum.error, sum.said)],
    ['- of these heard all the same', integer(sum.errorButHeard)],
    ['- not answered within 10 s', integer(sum.late)],
    ['- answered ok, and heard by nobody', integer(sum.okHeardByNobody)],
    ['- longest wait for an answer, ms', integer(sum.slowest)],
    ['deliveries owed (of what was answered ok)', integer(sum.expected)],
    ['- not made', percent(sum.lost, sum.expected)],
    ['- of these with a notice of a gap', integer(sum.lostAnnounced)],
    ['- of these while no region was lost', integer(sum.lostUnexcused)],
    ['who did not hear the last words of another', integer(soak.deaf().length)],
    ['who does not see everybody exactly once at the end', integer(soak.strangers().length)],
  ];
}

async function soak(stage, names, { report }) {
  const { Soak, Scene } = require('../scene/lib'); // stands on packages that only this needs: `make bench` installs them
  const seed = setting('seed', Date.now() % 1000000);
  const kinds = (process.env.SOAK_KINDS ?? 'killed').split(',');
  const minutes = setting('minutes', 3);
  const s = new Scene();
  try {
    const play = await Soak.start(s, { members: setting('members', MEMBERS), library: LIBRARY, seed });
    console.error(`soak: ${play.members.length} members are there, seed ${seed}`);
    const sum = await play.run(minutes * 60000, { kinds });
    for (const { name, what } of play.ledger.troubles.slice(0, 20)) console.error(`soak: ${name}: ${what}`);
    for (const each of [...play.ledger.duplicates.slice(0, 10), ...play.ledger.disorders.slice(0, 10)]) console.error(`soak: ${each}`);
    for (const each of [...play.deaf().slice(0, 5), ...play.strangers().slice(0, 5)]) console.error(`soak: ${each}`);
    report.table(`Soak: ${play.members.length} clients (${LIBRARY} of them realtime-js) with three channels and presence each, regions ${kinds.join(', ')}, ${minutes} min, seed ${seed}`, ['', 'count'], rows(play, sum));
  } finally {
    await s.end();
  }
}

module.exports = { soak };
