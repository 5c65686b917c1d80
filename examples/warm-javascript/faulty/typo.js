// Fails in its eighth line.
const prices = [{ name: 'tea', cents: 320 }, { name: 'cake' }];

function euros(price) {
  // There is no such price.
  if (price.name === 'tea') return (price.cents / 100).toFixed(2);
  console.log('about to fail');
  return (price.cents.net / 100).toFixed(2);
}

const result = prices.map(euros);
