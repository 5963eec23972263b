import { ConfigError } from '../../core/errors.ts';

/** A model on the Hugging Face hub: `hf:owner/repo`, `hf:owner/repo@revision`, `hf:owner/repo:file.gguf`. */
export interface HubReference {
  /** "owner/repo" */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** null: what the repository has is looked at. */
  readonly file: string | null;
}

const PREFIX = 'hf:';
/** What the hub allows in names; a part never begins with a dot, so that no path leads up. */
const REFERENCE = /^hf:([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w.-]*(?:\/[\w-][\w.-]*)*))?(?::(.+))?$/;
const DEFAULT_REVISION = 'main';

export function isHubReference(model: string): boolean {
  return model.startsWith(PREFIX);
}

/** Throws ConfigError when the words after "hf:" are not a repository and perhaps a file in it. */
export function parseHubReference(model: string): HubReference {
  const [, repo, revision = DEFAULT_REVISION, file = null] = REFERENCE.exec(model) ?? [];
  if (repo === undefined || (file !== null && !isHubFile(file))) {
    throw new ConfigError(
      `model "${model}": is not hf:owner/repo, hf:owner/repo@revision or hf:owner/repo:file; check the name`,
    );
  }
  return { repo, revision, file };
}

/** A path inside a repository that leads nowhere else. */
export function isHubFile(path: string): boolean {
  return path.split('/').every((part) => /^[^\\/:*?"<>|\p{Cc}]+$/u.test(part) && !/^\.+$/.test(part));
}
