// A queue at a counter, simulated: how long do people wait? `Math.random` begins from the task's seed.
const { customers, minutesBetween, minutesServed, counters } = JSON.parse(data);
const exponential = mean => -mean * Math.log(1 - Math.random());

const free = new Array(counters).fill(0);
const waits = [];
let now = 0;
for (let customer = 0; customer < customers; customer += 1) {
  now += exponential(minutesBetween);
  const counter = free.indexOf(Math.min(...free));
  const begins = Math.max(now, free[counter]);
  free[counter] = begins + exponential(minutesServed);
  waits.push(begins - now);
}

const rounded = minutes => _.round(minutes, 2);
const result = {
  customers,
  wait: { mean: rounded(ss.mean(waits)), ninetieth: rounded(ss.quantile(waits, 0.9)), longest: rounded(ss.max(waits)) },
  atOnce: rounded((100 * waits.filter(wait => wait === 0).length) / customers),
};
