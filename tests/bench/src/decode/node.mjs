// Prints the nanoseconds of one decode: the middle of 15 rounds, by processor time, the first uncounted.
import { readFile } from 'node:fs/promises'

const ROUNDS = 15
const [file, nth, times] = process.argv.slice(1)
const { instance } = await WebAssembly.instantiate(await readFile(file), {})
const rounds = []
for (let round = 0; round <= ROUNDS; round++) {
  const before = process.cpuUsage().user
  if (instance.exports.decode(Number(nth), Number(times)) === 0) throw new Error('it did not decode')
  if (round > 0) rounds.push(((process.cpuUsage().user - before) * 1000) / Number(times))
}
console.log(rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)])
