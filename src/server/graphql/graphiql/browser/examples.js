/**
 * What a first visitor finds in the tabs. The title is for the menu; a tab is named like its first operation.
 * @type {{ name: string, title: string, query: string }[]}
 */
export const EXAMPLES = [
  {
    name: 'overview',
    title: 'Overview',
    query: `# Sign in above. Then Ctrl-Enter, or the play button, runs the operation under the cursor.
# Hold the mouse over a name to read about it; the book on the left is the whole manual.

query Overview {
  providers {
    slug
    kind
    isEnabled
    isActive
    keyHint
  }
  metrics(range: LAST_HOUR) {
    summary {
      requests
      errorRate
      cost
      latencyP50Ms
      latencyP99Ms
    }
  }
}
`,
  },
];
