'use strict';
// What one benchmark found, as it is kept (results.js): tables and remarks for the reader, and the figures of all rounds for
// those who compute with them (targets.js). Everything is printed at once as well.
const { markdown } = require('./table.js');

class Report {
  // `facts`: name, command, date, rounds, seconds, machine, load, coreShare, versions.
  constructor(facts) {
    this.section = { ...facts, blocks: [], measures: {} };
  }

  table(title, head, rows) {
    this.#add({ title, head, rows: rows.map((row) => row.map(String)) });
  }

  // A line below the last table: what else a reader must know of these figures.
  remark(text) {
    this.#add({ remark: text });
  }

  // Keeps the rounds' figures under an id. `found`: Map of name -> list of findings, one for each round.
  measure(id, found, fields) {
    const rounds = (list) => Object.fromEntries(fields.map((field) => [field, list.map((one) => one[field])]));
    this.section.measures[id] = Object.fromEntries([...found].map(([name, list]) => [name, rounds(list)]));
  }

  #add(block) {
    this.section.blocks.push(block);
    console.log(`\n${blockText(block)}`);
  }
}

const blockText = ({ title, head, rows, remark }) => (remark === undefined ? `${title}\n\n${markdown(head, rows)}` : `- ${remark}`);

module.exports = { Report, blockText };
