package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"holdfast/scenarios/scenario"
)

func newSchemaCommand() *cobra.Command {
	var schedule bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of scenario files, for editors.",
		Long: `Print the JSON Schema of scenario files, for editors: completion, descriptions and errors while typing.

An editor with the YAML language server takes it from the first line of a scenario file:
  # yaml-language-server: $schema=holdfast-scenario.json

The schema and 'holdfast run' come from one table. What several keys mean together, only 'holdfast run --dry-run' says.`,
		Example: "  holdfast schema > holdfast-scenario.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := scenario.Schema()
			if schedule {
				text = scenario.ScheduleSchema()
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return exit(exitBroken, fmt.Errorf("write the schema: %w", err))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&schedule, "schedule", false, "that of schedule files instead")
	return cmd
}
