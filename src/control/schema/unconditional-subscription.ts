import { type ASTVisitor, GraphQLError, Kind, type SelectionSetNode, type ValidationContext } from 'graphql';

const CONDITIONS = ['skip', 'include'];

/**
 * Validation rule: what a subscription subscribes to does not depend on `@skip` and `@include`. The specification of
 * September 2025 forbids it (5.2.4.1); graphql-js 16 does not, and throws when nothing is left.
 */
export function UnconditionalSubscriptionRule(context: ValidationContext): ASTVisitor {
  function refuseConditions(selections: SelectionSetNode, seen: Set<string>): void {
    for (const selection of selections.selections) {
      const condition = selection.directives?.find(({ name }) => CONDITIONS.includes(name.value));
      if (condition) {
        const message = `A subscription’s root field cannot have @${condition.name.value}.`;
        context.reportError(new GraphQLError(message, { nodes: condition }));
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) refuseConditions(selection.selectionSet, seen);
      if (selection.kind !== Kind.FRAGMENT_SPREAD || seen.has(selection.name.value)) continue;
      seen.add(selection.name.value);
      const fragment = context.getFragment(selection.name.value);
      if (fragment) refuseConditions(fragment.selectionSet, seen);
    }
  }
  return {
    OperationDefinition({ operation, selectionSet }) {
      if (operation === 'subscription') refuseConditions(selectionSet, new Set());
    },
  };
}
