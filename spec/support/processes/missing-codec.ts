/** Compresses a batch with zstd, or decompresses one, and prints the error that comes of it as JSON. */
import { compressBatch, decompressRecords } from '../../../lib/record/codecs.ts'
import { encodeBatch } from '../batches.ts'

const batch = encodeBatch([{ value: 'x'.repeat(1000) }])
// The codec's number lies in the lowest bits of the attributes.
if (process.argv[2] === 'decompress') batch.writeInt16BE(4, 21)
const calls = {
  compress: () => compressBatch(batch, 'zstd'),
  decompress: () => decompressRecords(batch, { maxBytes: 1 << 20 }),
}
const call = calls[process.argv[2] as keyof typeof calls]
call().then(
  () => console.log('"no error"'),
  ({ name, codec, package: packageName }) =>
    console.log(JSON.stringify({ name, codec, package: packageName })),
)
