// Command cases runs every case of contracts/README.md on both servers.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"signalbox.dev/contracts/consumers/go/signalbox"
)

// connect makes a new client of the server that the cases run on.
type connect func(options ...grpc.DialOption) (*signalbox.Client, error)

func main() {
	log.SetFlags(0)
	older := flag.Bool("older", false, "the contract is an older release's")
	flag.Parse()
	r := newReport()
	if err := run(r, *older); err != nil {
		log.Fatal(err)
	}
	os.Exit(r.finish())
}

// run fails where no case can be run.
func run(r *report, older bool) error {
	rows, err := readRows(os.Getenv("SIGNALBOX_RPCS"))
	if err != nil {
		return err
	}
	methods := generatedRPCs()
	r.run("contract", "table", "one row for each RPC", func() error {
		return checkTable(rows, methods, older)
	})

	authority, err := os.ReadFile(os.Getenv("SIGNALBOX_CA"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return fmt.Errorf("no certificate in $SIGNALBOX_CA")
	}
	server := func(name string, creds credentials.TransportCredentials) connect {
		return func(options ...grpc.DialOption) (*signalbox.Client, error) {
			return signalbox.New(os.Getenv(name), creds, options...)
		}
	}
	for _, each := range []struct {
		transport string
		connect   connect
	}{
		{"plaintext", server("SIGNALBOX_PLAINTEXT", insecure.NewCredentials())},
		{"tls", server("SIGNALBOX_TLS", credentials.NewTLS(&tls.Config{RootCAs: roots}))},
	} {
		client, err := each.connect()
		if err != nil {
			return err
		}
		for _, line := range rows {
			if older {
				if why := newerPart(line, methods); why != "" {
					r.skip(each.transport, line.group(), line.name(), why)
					continue
				}
			}
			r.run(each.transport, line.group(), line.name(), func() error {
				return runRow(line, methods, client.Conn)
			})
		}
		habits{client, each.connect, newUpstream(os.Getenv("SIGNALBOX_UPSTREAM"))}.run(each.transport, r)
		if err := client.Close(); err != nil {
			return err
		}
	}

	r.run("tls", "trust", "an unknown authority is refused", func() error {
		return refusesStrangers(server("SIGNALBOX_TLS", credentials.NewTLS(&tls.Config{
			RootCAs: x509.NewCertPool(),
		})))
	})
	return nil
}

func refusesStrangers(connect connect) error {
	client, err := connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = client.Chat(ctx, "echo", "hello")
	details, err := refusal(codes.Unavailable, err)
	if err != nil {
		return err
	}
	return same("ErrorInfo.domain", details.Domain, "")
}
