/**
 * Operations to begin with, which work with the sandbox alone. A first visitor finds some of them in the tabs, and
 * everybody all of them in the menu, by their titles; a tab is named like its first operation.
 * @type {{ name: string, title: string, isTab: boolean, query: string }[]}
 */
export const EXAMPLES = [
  {
    name: 'overview',
    title: 'Overview',
    isTab: true,
    query: `# Sign in above, then press the play button.
# Hold the mouse over a name to read about it;
# the book on the left is the whole manual.

query Overview {
  providers {
    slug
    isEnabled
    isActive
    keyHint
    health { status latencyMs }
  }
  metrics(range: LAST_HOUR) {
    summary { requests errorRate cost latencyP95Ms }
  }
}
`,
  },
  {
    name: 'connect-provider',
    title: 'Connect a provider',
    isTab: false,
    query: `# Stores a provider's key, encrypted.
# Its first key enables the provider. Each new
# key is tried at once: see health.

mutation ConnectProvider {
  setProviderKey(input: {
    provider: "openai"
    key: "sk-…"
  }) {
    ... on SetProviderKeySuccess {
      provider {
        slug
        isEnabled
        keyHint
        health { status detail }
      }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    name: 'test-provider',
    title: 'Test a provider',
    isTab: false,
    query: `# Sends it a short message, past all routing.

mutation TestProvider {
  testProvider(input: { id: "sandbox" }) {
    ... on TestProviderSuccess {
      status
      httpStatus
      latencyMs
      responseText
      detail
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    name: 'activate-provider',
    title: 'Activate another provider',
    isTab: true,
    query: `# The next completion goes to this one.

mutation ActivateProvider {
  activateProvider(id: "sandbox") {
    ... on ActivateProviderSuccess {
      active { slug }
      previous { slug }
      switchedAt
      message
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    name: 'split-traffic',
    title: 'Split traffic 70/30',
    isTab: true,
    query: `# Of each 100 requests to the route, 70 and 30.
# activateProvider takes the split away again.

mutation SplitTraffic {
  setTrafficSplit(input: {
    routeId: "default"
    targets: [
      {
        provider: "sandbox"
        models: ["sandbox-small"]
        percentage: 70
      }
      {
        provider: "sandbox"
        models: ["sandbox-large"]
        percentage: 30
      }
    ]
  }) {
    ... on SetTrafficSplitSuccess {
      trafficSplit {
        strategy
        targets {
          percentage
          target { provider { slug } models }
        }
      }
    }
    ... on ValidationError {
      issues { path message }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    name: 'compare-targets',
    title: 'Compare the targets of a split',
    isTab: false,
    query: `# Who is cheaper, faster, or fails less, and whether
# that is more than chance. First split the traffic
# of the route, and let it run for a while.

query CompareTargets {
  splitComparison(input: { routeId: "default" }) {
    variants {
      label
      percentage
      requests
      errorRate
      averageLatencyMs
      averageCost
    }
    recommendation { action text }
  }
}
`,
  },
  {
    name: 'explain-route',
    title: 'Why a request went where it did',
    isTab: false,
    query: `# Put in the requestId of a completion:
# the request log has them.

query ExplainRoute {
  explainRoute(requestId: "00000000-0000-7000-8000-000000000000") {
    route
    isReproduced
    decision {
      candidates { provider model score reason }
    }
  }
  routes {
    slug
    state {
      picks
      targets { provider model restingUntil firstTokenMs answerMs }
    }
  }
}
`,
  },
  {
    name: 'stream-completion',
    title: 'Stream a completion',
    isTab: true,
    query: `# Comes over WebSocket. Stopping it here stops
# the provider as well.

subscription StreamCompletion {
  completion(input: {
    model: "default"
    messages: [
      { role: USER, content: "What is a signal box?" }
    ]
    tags: [{ name: "from", value: "graphiql" }]
    extra: { sandbox: { tokensPerSecond: 20 } }
  }) {
    __typename
    ... on CompletionDelta { seq text }
    ... on CompletionFinished {
      completion {
        provider
        model
        cost
        latencyMs
        usage { inputTokens outputTokens }
      }
    }
    ... on CompletionFailed {
      error { code message }
    }
  }
}
`,
  },
  {
    name: 'live-metrics',
    title: 'Live metrics',
    isTab: true,
    query: `# At once, and then each second while they change.
# Stream a completion in another window meanwhile.

subscription LiveMetrics {
  metricsUpdated(input: { range: LAST_HOUR }) {
    summary { requests errorRate cost latencyP95Ms }
    providers { provider share attempts cost }
  }
}
`,
  },
  {
    name: 'request-log',
    title: 'Request log',
    isTab: true,
    query: `# The log as it is, and as it grows. After a break,
# afterSeq continues behind the last seq.

query RequestLog {
  requests(first: 10) {
    nodes {
      id
      startedAt
      status
      provider
      model
      cost
      latencyMs
      tags { name value }
      attempts { number provider status }
    }
    pageInfo { hasNextPage endCursor }
  }
}

subscription FollowRequests {
  requestLogged(input: { afterSeq: "0" }) {
    seq
    status
    provider
    model
    cost
    latencyMs
  }
}
`,
  },
  {
    name: 'budgets',
    title: 'Budgets',
    isTab: true,
    query: `# SOFT only tells when thresholds are crossed. With
# HARD, nothing is sent that might not fit.

mutation SetBudget {
  setBudget(input: {
    scope: EVERYTHING
    limit: "25"
    period: MONTHLY
    enforcement: SOFT
    thresholds: [50, 80, 100]
  }) {
    ... on SetBudgetSuccess {
      budget { id limit spent held remaining resetsAt }
    }
    ... on ValidationError {
      issues { path message }
    }
    ... on Error { code message }
  }
}

query Budgets {
  budgets {
    scope
    subject
    period
    limit
    spent
    held
    remaining
    percentUsed
  }
}

subscription WatchBudgets {
  budgetChanged {
    reason
    threshold
    spent
    remaining
    budget { scope subject }
  }
}
`,
  },
  {
    name: 'track-usage',
    title: 'Report usage made elsewhere',
    isTab: false,
    query: `# The same key again is recorded only once.

mutation TrackUsage {
  trackUsage(input: { events: [{
    provider: "openai"
    model: "gpt-4.1-mini"
    inputTokens: 1200
    outputTokens: 300
    metadata: { team: "search" }
    idempotencyKey: "nightly-1"
  }] }) {
    ... on TrackUsageSuccess {
      usage { recorded duplicates cost }
    }
    ... on ValidationError {
      issues { path message }
    }
    ... on Error { code message }
  }
}

query UsageEvents {
  usageEvents(filter: { metadata: { team: "search" } }) {
    nodes { occurredAt provider model cost metadata }
  }
}

query UnpricedUsage {
  unpricedUsage { provider model attempts events }
}
`,
  },
  {
    name: 'credits',
    title: 'Credits',
    isTab: false,
    query: `# A prepaid balance. From the first grant on it
# limits what the user's completions may cost.

mutation GrantCredits {
  grantCredits(input: {
    userId: "ann@example.com"
    amount: "20"
    note: "Welcome"
  }) {
    ... on GrantCreditsSuccess {
      credits { granted spent balance remaining }
    }
    ... on ValidationError {
      issues { path message }
    }
    ... on Error { code message }
  }
}

query MyCredits {
  credits { granted spent held balance }
  creditHistory(first: 20) {
    nodes { at kind amount note model requestId }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
  {
    name: 'models',
    title: 'Models and their prices',
    isTab: false,
    query: `# Prices are in USD per 1M tokens.

query Models {
  models(
    filter: { isEnabled: true, maxInputPrice: "1" }
    orderBy: { field: OUTPUT_PRICE, direction: ASC }
    first: 20
  ) {
    totalCount
    nodes { slug inputPrice outputPrice contextTokens }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
  {
    name: 'watch-changes',
    title: 'Watch who changes what',
    isTab: false,
    query: `subscription WatchConfiguration {
  configurationChanged {
    version
    changedAt
    changedBy
    changes { action subject name }
  }
}

subscription WatchHealth {
  providerHealthChanged {
    provider { slug }
    previousStatus
    status
    detail
  }
}
`,
  },
  {
    name: 'api-keys',
    title: 'API keys',
    isTab: false,
    query: `# A key is shown once, when it is created.

mutation CreateApiKey {
  createApiKey(input: {
    name: "my application"
    rateLimitPerMinute: 600
  }) {
    ... on CreateApiKeySuccess {
      key
      apiKey { id name }
    }
    ... on Error { code message }
  }
}

query ApiKeys {
  apiKeys(first: 20) {
    nodes { id name isAdmin createdAt }
  }
}
`,
  },
];
