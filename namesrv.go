package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"holdfast/broker/route"
	"holdfast/broker/server"
)

func newNamesrvCommand() *cobra.Command {
	var listen string
	var verbose bool
	cmd := &cobra.Command{
		Use:     "namesrv",
		Short:   "Run a name server: where brokers register and clients find them.",
		Example: "  holdfast namesrv --listen 127.0.0.1:9876",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkListen(listen); err != nil {
				return exit(exitUsage, err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			s, err := server.StartNameServer(server.Config{Listen: listen, Log: nodeLog(verbose)}, route.DefaultConfig())
			if err != nil {
				return exit(exitBroken, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ready namesrv=%s\n", s.Addr())
			return serve(ctx, s)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9876", "address; port 0 chooses one")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what happens, too, not only what goes wrong")
	return cmd
}
