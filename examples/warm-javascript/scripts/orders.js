// What was sold, by country and month, from a table of orders; and a line for each country to read.
const { data: rows, errors } = Papa.parse(data, { header: true, dynamicTyping: true, skipEmptyLines: true });
if (errors.length > 0) throw new Error(`row ${errors[0].row}: ${errors[0].message}`);

const sum = orders => _.round(_.sumBy(orders, order => order.pieces * order.price), 2);
const countries = _(rows)
  .groupBy('country')
  .map((orders, country) => ({
    country,
    orders: orders.length,
    total: sum(orders),
    median: ss.median(orders.map(order => order.pieces * order.price)),
    months: _.mapValues(_.groupBy(orders, order => dayjs(order.day).format('YYYY-MM')), sum),
  }))
  .orderBy('total', 'desc')
  .value();

for (const row of countries) console.log(Mustache.render('{{country}}: {{orders}} orders, {{total}} in all', row));

const result = { orders: rows.length, total: sum(rows), countries };
