/** The first two examples in JavaScript or TypeScript of a Markdown text: `{ language, code }`. */
export function examplesOf(markdown) {
  const examples = []
  for (const [, language, code] of markdown.matchAll(/^```(js|mjs|ts)\b[^\n]*\n(.*?)^```$/gms)) {
    examples.push({ language: language === 'ts' ? 'ts' : 'js', code })
  }
  if (examples.length < 2) throw new Error(`the README has ${examples.length} examples, not two`)
  return examples.slice(0, 2)
}
