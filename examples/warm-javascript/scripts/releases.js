// Turns a list of releases around: from what a server answers to what a page needs.
const { releases } = JSON.parse(data);
const number = version => version.split('.').map(Number);
const newest = (a, b) => _.zipWith(number(b.version), number(a.version), _.subtract).find(step => step !== 0) ?? 0;

_(releases)
  .filter(release => !release.withdrawn)
  .groupBy('product')
  .mapValues(list => {
    const [latest, ...older] = list.sort(newest);
    return {
      latest: latest.version,
      since: latest.date,
      days: older.length === 0 ? null : dayjs(latest.date).diff(older[0].date, 'day'),
      older: older.map(release => release.version),
    };
  })
  .value();
