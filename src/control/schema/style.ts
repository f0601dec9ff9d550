import SchemaBuilder, {
  BasePlugin,
  type PothosOutputFieldConfig,
  type PothosTypeConfig,
  type SchemaTypes,
} from '@pothos/core';

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      style: StylePlugin<Types>;
    }
  }
}

const PAGE_INFO: Record<string, string> = {
  hasNextPage: 'Whether there is more after this page.',
  hasPreviousPage: 'Whether this page was asked for with `after`.',
  startCursor: 'Cursor of the first on this page; null when it is empty.',
  endCursor: 'Cursor of the last on this page; null when it is empty. Pass it as `after` to get the next page.',
};

/** What the other plugins leave open: the success comes first in result unions, and PageInfo is described. */
class StylePlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onTypeConfig(config: PothosTypeConfig): PothosTypeConfig {
    if (config.kind !== 'Union' || !config.name.endsWith('Result')) return config;
    const types = [...config.types];
    const success = types.pop();
    return success ? { ...config, types: [success, ...types] } : config;
  }

  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const description = field.parentType === 'PageInfo' ? PAGE_INFO[field.name] : undefined;
    return description ? { ...field, description } : field;
  }
}

export const stylePlugin = 'style' as const;
SchemaBuilder.registerPlugin(stylePlugin, StylePlugin);
