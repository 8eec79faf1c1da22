package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// push is one call that makes or updates an environment.
type push struct {
	// class is that of the namespace, which an existing one keeps.
	class string
	// ttl is how long the environment stays after the call.
	ttl time.Duration
	// project is the folder of Pulumi.yaml, and render the program that renders its stacks.
	project, render string
	// changes are what the caller sets in the stack, each as key=value.
	changes []string
}

// up makes the environment, or updates it. What an earlier call has applied and this one has not is deleted once the new pods run, so
// that the old ones keep what they mount until then.
func (e *environment) up(ctx context.Context, p *push) error {
	started := e.now()
	if p.ttl < time.Minute {
		return fmt.Errorf("--ttl %v: must be a minute or more; write for example TTL=24h", p.ttl)
	}
	if p.render == "" {
		return errors.New("--render: names the program that renders a stack; call `make pr-env`, which builds it")
	}
	stack, err := readStack(p.project)
	if err != nil {
		return err
	}
	if err := stack.change(p.changes); err != nil {
		return err
	}
	claim, err := e.claim(ctx, p.class, p.ttl.Truncate(time.Second))
	if err != nil {
		return err
	}
	namespace := claim.Status.Namespace
	e.say("%s", claim.Status.Message)
	host, err := e.host(ctx, namespace)
	if err != nil {
		return err
	}
	if err := errors.Join(stack.set("namespace", namespace), stack.set("exposure.host", host)); err != nil {
		return err
	}
	objects, err := stack.renderIn(ctx, p.render, p.project)
	if err != nil {
		return err
	}
	if err := e.check(namespace, objects); err != nil {
		return err
	}
	if err := e.secret(ctx, namespace); err != nil {
		return err
	}
	if err := e.apply(ctx, objects); err != nil {
		return err
	}
	e.say("%d objects are applied; waiting until they run", len(objects))
	if err := e.rolledOut(ctx, namespace, objects); err != nil {
		return err
	}
	if err := e.prune(ctx, namespace, objects); err != nil {
		return err
	}
	url := stack.url(host)
	e.say("%s is up after %v", url, e.now().Sub(started).Round(time.Second))
	return output("url", url)
}

// output passes a value to the later steps of a GitHub workflow.
func output(name, value string) (err error) {
	path := os.Getenv("GITHUB_OUTPUT")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s=%s\n", name, value)
	return errors.Join(err, file.Close())
}
