package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"holdfast/broker/route"
	"holdfast/broker/server"
)

func newNamesrvCommand() *cobra.Command {
	var listen, metrics string
	var controller bool
	var logs logFlags
	var store string
	var electAfter time.Duration
	cmd := &cobra.Command{
		Use:     "namesrv",
		Short:   "Run a name server: where brokers register and clients find them.",
		Example: "  holdfast namesrv --listen 127.0.0.1:9876\n  holdfast namesrv --controller --store /var/lib/holdfast-controller",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAddress("--listen", listen); err != nil {
				return exit(exitUsage, err)
			}
			if metrics != "" {
				if err := checkAddress("--metrics", metrics); err != nil {
					return exit(exitUsage, err)
				}
			}
			log, err := logs.logger()
			if err != nil {
				return exit(exitUsage, err)
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			cfg := server.Config{Listen: listen, Log: log, StoreDir: store, MetricsListen: metrics}
			if !controller && cmd.Flags().Changed("elect-after") {
				return exit(exitUsage, errors.New("--elect-after has no effect without --controller"))
			}
			election := route.ControllerConfig{ElectAfter: electAfter, Lease: electAfter * 5 / 6}
			if err := election.Validate(); err != nil {
				return exit(exitUsage, fmt.Errorf("--elect-after %v: %w", electAfter, err))
			}
			var s *server.Server
			if controller {
				s, err = server.StartController(ctx, cfg, route.DefaultConfig(), election)
			} else {
				s, err = server.StartNameServer(ctx, cfg, route.DefaultConfig())
			}
			if err != nil {
				return exit(exitBroken, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ready namesrv=%s%s\n", s.Addr(), metricsAt(s))
			return serve(ctx, s, s)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9876", "address; port 0 chooses one")
	cmd.Flags().StringVar(&metrics, "metrics", "", metricsUsage)
	cmd.Flags().BoolVar(&controller, "controller", false, "be the controller, too: it elects the masters of brokers with enableControllerMode=true")
	cmd.Flags().StringVar(&store, "store", "", "directory of the KV table, and with --controller of what it decided (default: in memory, forgotten at its end)")
	cmd.Flags().DurationVar(&electAfter, "elect-after", route.DefaultControllerConfig().ElectAfter,
		"with --controller: a master without a heartbeat for so long is replaced; it stops by itself after five sixths of it")
	logs.add(cmd)
	return cmd
}
