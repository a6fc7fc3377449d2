// The providers that a name can mention: their packages, their variables, and how their models are made. Packages are
// optional peers, and imported when a model of theirs is made.
import { toCodecAnthropic } from "effect/ai/AnthropicStructuredOutput"
import type { Options, ProviderModel, Settings } from "../ProviderModel.ts"
import { baseOf } from "./baseUrl.ts"
import { accepted } from "./callIds.ts"
import { type Fetch, mendedFetch } from "./wire/mendedFetch.ts"

/** The values that a package needs to make a model. */
export interface Access {
  readonly model: string
  readonly fetch: Fetch
  readonly baseUrl: string | undefined
  /** The value of one of the provider's variables. */
  readonly value: (name: string) => string | undefined
}

export interface Provider {
  readonly package: string
  /** The variables that have to be set; of alternatives in one entry, the first that is. */
  readonly needs: ReadonlyArray<ReadonlyArray<string>>
  /** Further variables. */
  readonly reads?: ReadonlyArray<string>
  readonly defaultBaseUrl?: string
  /** The models whose answers the provider can hold to a JSON schema. */
  readonly takesSchema?: RegExp
  readonly options?: Pick<Options, "gatewayCost" | "codecTransformer" | "callIds"> & {
    readonly settings?: Settings
  }
  readonly make: (access: Access) => Promise<ProviderModel>
}

/** A setting that is left out when it has no value. */
const given = <Name extends string>(name: Name, value: string | undefined) =>
  // cast: a computed key of a literal type.
  (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: string }

const base = ({ baseUrl }: Access) => given("baseURL", baseUrl)

const compatible = (
  name: string,
  key: string | undefined,
  headersOf: (access: Access) => Readonly<Record<string, string>> = () => ({})
): Provider["make"] =>
async (access) => {
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible")
  const { query, url } = baseOf(access.baseUrl ?? "") ?? { url: access.baseUrl ?? "", query: {} }
  const headers = headersOf(access)
  const provider = createOpenAICompatible({
    name,
    baseURL: url,
    queryParams: { ...query },
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch: mendedFetch(access.fetch),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...given("apiKey", key === undefined ? undefined : access.value(key))
  })
  return provider.chatModel(access.model)
}

const all = /^/u

/** OpenAI's models from before structured outputs. */
const sinceGpt4o = /^(?!gpt-3|gpt-4(?![.o\d]))/u

const local = (name: string, defaultBaseUrl: string, takesSchema?: RegExp): Provider => {
  const key = `${name.toUpperCase()}_API_KEY`
  return {
    package: "@ai-sdk/openai-compatible",
    needs: [],
    reads: [key],
    defaultBaseUrl,
    ...(takesSchema === undefined ? {} : { takesSchema }),
    options: { gatewayCost: true },
    make: compatible(name, key)
  }
}

/** Portkey's headers: its key, and who answers, by a name, a stored key or a configuration. */
const portkeyHeaders = ({ value }: Access) => ({
  ...given("x-portkey-api-key", value("PORTKEY_API_KEY")),
  ...given("x-portkey-provider", value("PORTKEY_PROVIDER")),
  ...given("x-portkey-virtual-key", value("PORTKEY_VIRTUAL_KEY")),
  ...given("x-portkey-config", value("PORTKEY_CONFIG"))
})

const cloudflareUrl = ({ value }: Access) =>
  `https://gateway.ai.cloudflare.com/v1/${encodeURIComponent(value("CLOUDFLARE_ACCOUNT_ID") ?? "")}/${
    encodeURIComponent(value("CLOUDFLARE_GATEWAY_ID") ?? "default")
  }/compat`

const cloudflareHeaders = ({ value }: Access): Readonly<Record<string, string>> => {
  const token = value("CLOUDFLARE_AIG_TOKEN")
  return token === undefined ? {} : { "cf-aig-authorization": `Bearer ${token}` }
}

const openai = (access: Access) =>
  import("@ai-sdk/openai").then(({ createOpenAI }) =>
    createOpenAI({ ...base(access), ...given("apiKey", access.value("OPENAI_API_KEY")), fetch: access.fetch })
  )

/** A server of one's own in place of OpenAI's: any server with the chat completions API. */
export const openaiServer: Provider = {
  package: "@ai-sdk/openai-compatible",
  needs: [],
  reads: ["OPENAI_API_KEY"],
  options: { gatewayCost: true },
  make: compatible("openai", "OPENAI_API_KEY")
}

/** The provider keeps no answers: a run may resume long after the provider would have removed them. */
const stateless: Settings = { providerOptions: { openai: { store: false }, azure: { store: false } } }

export const providers: { readonly [name: string]: Provider } = {
  openai: {
    package: "@ai-sdk/openai",
    needs: [["OPENAI_API_KEY"]],
    takesSchema: sinceGpt4o,
    options: { settings: stateless },
    make: async (access) => (await openai(access)).responses(access.model)
  },
  "openai-chat": {
    package: "@ai-sdk/openai",
    needs: [["OPENAI_API_KEY"]],
    takesSchema: sinceGpt4o,
    make: async (access) => (await openai(access)).chat(access.model)
  },
  anthropic: {
    package: "@ai-sdk/anthropic",
    needs: [["ANTHROPIC_API_KEY"]],
    takesSchema: all,
    options: { codecTransformer: toCodecAnthropic },
    make: async (access) => {
      const { createAnthropic } = await import("@ai-sdk/anthropic")
      const key = given("apiKey", access.value("ANTHROPIC_API_KEY"))
      return createAnthropic({ ...base(access), ...key, fetch: access.fetch })(access.model)
    }
  },
  google: {
    package: "@ai-sdk/google",
    needs: [["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"]],
    takesSchema: /gemini/u,
    make: async (access) => {
      const { createGoogleGenerativeAI } = await import("@ai-sdk/google")
      const key = access.value("GOOGLE_GENERATIVE_AI_API_KEY") ?? access.value("GEMINI_API_KEY")
      return createGoogleGenerativeAI({ ...base(access), ...given("apiKey", key), fetch: access.fetch })(access.model)
    }
  },
  mistral: {
    package: "@ai-sdk/mistral",
    needs: [["MISTRAL_API_KEY"]],
    takesSchema: all,
    options: { callIds: accepted.mistral },
    make: async (access) => {
      const { createMistral } = await import("@ai-sdk/mistral")
      const key = given("apiKey", access.value("MISTRAL_API_KEY"))
      return createMistral({ ...base(access), ...key, fetch: access.fetch })(access.model)
    }
  },
  groq: {
    package: "@ai-sdk/groq",
    needs: [["GROQ_API_KEY"]],
    takesSchema: /gpt-oss|kimi-k2|llama-4/u,
    make: async (access) => {
      const { createGroq } = await import("@ai-sdk/groq")
      const key = given("apiKey", access.value("GROQ_API_KEY"))
      return createGroq({ ...base(access), ...key, fetch: access.fetch })(access.model)
    }
  },
  deepseek: {
    package: "@ai-sdk/deepseek",
    needs: [["DEEPSEEK_API_KEY"]],
    make: async (access) => {
      const { createDeepSeek } = await import("@ai-sdk/deepseek")
      const key = given("apiKey", access.value("DEEPSEEK_API_KEY"))
      return createDeepSeek({ ...base(access), ...key, fetch: access.fetch })(access.model)
    }
  },
  xai: {
    package: "@ai-sdk/xai",
    needs: [["XAI_API_KEY"]],
    takesSchema: /^grok-(?!2)/u,
    options: { settings: { providerOptions: { xai: { store: false } } } },
    make: async (access) => {
      const { createXai } = await import("@ai-sdk/xai")
      const key = given("apiKey", access.value("XAI_API_KEY"))
      return createXai({ ...base(access), ...key, fetch: access.fetch })(access.model)
    }
  },
  azure: {
    package: "@ai-sdk/azure",
    needs: [["AZURE_API_KEY"], ["AZURE_RESOURCE_NAME", "AZURE_BASE_URL"]],
    reads: ["AZURE_API_VERSION"],
    takesSchema: sinceGpt4o,
    options: { settings: stateless },
    make: async (access) => {
      const { createAzure } = await import("@ai-sdk/azure")
      const azure = createAzure({
        ...(access.baseUrl === undefined
          ? given("resourceName", access.value("AZURE_RESOURCE_NAME"))
          : { baseURL: access.baseUrl }),
        ...given("apiKey", access.value("AZURE_API_KEY")),
        ...given("apiVersion", access.value("AZURE_API_VERSION")),
        fetch: access.fetch
      })
      return azure(access.model)
    }
  },
  bedrock: {
    package: "@ai-sdk/amazon-bedrock",
    needs: [["AWS_REGION", "AWS_DEFAULT_REGION"], ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"]],
    reads: ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
    // The package asks later models for a tool of its own in place of a schema.
    takesSchema: /claude-(?:opus-4-[156]|sonnet-4-5)/u,
    make: async (access) => {
      const { createAmazonBedrock } = await import("@ai-sdk/amazon-bedrock")
      const bedrock = createAmazonBedrock({
        ...base(access),
        ...given("region", access.value("AWS_REGION") ?? access.value("AWS_DEFAULT_REGION")),
        ...given("apiKey", access.value("AWS_BEARER_TOKEN_BEDROCK")),
        ...given("accessKeyId", access.value("AWS_ACCESS_KEY_ID")),
        ...given("secretAccessKey", access.value("AWS_SECRET_ACCESS_KEY")),
        ...given("sessionToken", access.value("AWS_SESSION_TOKEN")),
        fetch: access.fetch
      })
      return bedrock(access.model)
    }
  },
  openrouter: {
    package: "@openrouter/ai-sdk-provider",
    needs: [["OPENROUTER_API_KEY"]],
    options: { gatewayCost: true },
    make: async (access) => {
      const { createOpenRouter } = await import("@openrouter/ai-sdk-provider")
      const key = given("apiKey", access.value("OPENROUTER_API_KEY"))
      const openrouter = createOpenRouter({ ...base(access), ...key, compatibility: "strict", fetch: access.fetch })
      return openrouter.chat(access.model, { usage: { include: true } })
    }
  },
  ollama: local("ollama", "http://127.0.0.1:11434/v1", all),
  lmstudio: local("lmstudio", "http://127.0.0.1:1234/v1", all),
  vllm: local("vllm", "http://127.0.0.1:8000/v1", all),
  litellm: local("litellm", "http://127.0.0.1:4000/v1"),
  portkey: {
    package: "@ai-sdk/openai-compatible",
    needs: [["PORTKEY_API_KEY"]],
    reads: ["PORTKEY_PROVIDER", "PORTKEY_VIRTUAL_KEY", "PORTKEY_CONFIG", "PORTKEY_PROVIDER_API_KEY"],
    defaultBaseUrl: "https://api.portkey.ai/v1",
    make: compatible("portkey", "PORTKEY_PROVIDER_API_KEY", portkeyHeaders)
  },
  cloudflare: {
    package: "@ai-sdk/openai-compatible",
    needs: [["CLOUDFLARE_ACCOUNT_ID"]],
    reads: ["CLOUDFLARE_GATEWAY_ID", "CLOUDFLARE_AIG_TOKEN", "CLOUDFLARE_API_KEY"],
    make: (access) =>
      compatible("cloudflare", "CLOUDFLARE_API_KEY", cloudflareHeaders)({
        ...access,
        baseUrl: access.baseUrl ?? cloudflareUrl(access)
      })
  }
}

/** The variable that holds another base URL for a provider. */
export const baseUrlVariable = (provider: string): string =>
  `${provider === "openai-chat" ? "OPENAI" : provider.toUpperCase()}_BASE_URL`
