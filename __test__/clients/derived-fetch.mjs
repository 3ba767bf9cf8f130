// Streams fetched as they are: [path, headers] pairs in argv.

for (const [path, headers] of JSON.parse(process.argv[2])) {
  const response = await fetch(`${process.env.STANDIN_URL}${path}`, { method: 'POST', headers, body: '{}' });
  process.stdout.write(`${(await response.arrayBuffer()).byteLength > 0}\n`);
}
