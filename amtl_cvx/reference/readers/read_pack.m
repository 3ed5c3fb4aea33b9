function pack = read_pack(folder)
% READ_PACK  Read a reference pack with Octave (7 or later) or MATLAB (R2016b or later); copy it anywhere.
%
%   pack = read_pack('packs/NAME');
%   X = pack.problem.X;  task = pack.problem.task + 1;  W = pack.solution.W;  mu = pack.model.mu;
%
% X is (N, d), row i belongs to task(i) = 0 .. T-1; W is (d, T), column t predicts task t; B is (T, T), and
% B(s, t) is how much task s helps task t; vectors are columns. pack.about is pack.json, pack.model what
% problem/problem.json says, pack.given, pack.solution and pack.minima{k} the blocks that the pack has.
% `amtl-cvx reference verify NAME` checks the SHA-256 of the files.
  pack.about = read_json(fullfile(folder, 'pack.json'));
  pack.model = read_json(fullfile(folder, 'problem', 'problem.json'));
  pack.problem = read_arrays(fullfile(folder, 'problem'));
  pack.given = read_arrays(fullfile(folder, 'given'));
  pack.solution = read_arrays(fullfile(folder, 'solution'));
  pack.minima = {};
  while exist(fullfile(folder, 'minima', num2str(numel(pack.minima) + 1)), 'dir')
    pack.minima{end + 1} = read_arrays(fullfile(folder, 'minima', num2str(numel(pack.minima) + 1)));
  end
end

function arrays = read_arrays(folder)
  arrays = struct();
  files = dir(fullfile(folder, '*.npy'));
  for k = 1:numel(files)
    arrays.(files(k).name(1:end - 4)) = read_npy(fullfile(folder, files(k).name));
  end
end

function array = read_npy(path)  % float64 or int64, rows one after the other
  file = fopen(path, 'r', 'ieee-le');
  start = fread(file, 10, 'uint8=>double');
  head = fread(file, start(9) + 256 * start(10), 'uint8=>char')';
  if isempty(strfind(head, '''fortran_order'': False')) || isempty(regexp(head, '''<[fi]8''', 'once'))
    fclose(file);
    error('%s is no array of a pack', path);
  end
  kinds = {'int64=>double', 'double'};
  array = fread(file, Inf, kinds{1 + ~isempty(strfind(head, '''<f8'''))});
  fclose(file);
  shape = str2double(regexp(regexp(head, '\([^)]*\)', 'match', 'once'), '\d+', 'match'));
  if numel(shape) > 1
    array = permute(reshape(array, fliplr(shape)), numel(shape):-1:1);
  end
end

function said = read_json(path)
  text = fileread(path);
  said = jsondecode(text);
  keys = fieldnames(said);  % jsondecode may round the last bit of a number: its own text is read again
  for k = 1:numel(keys)
    tokens = regexp(text, ['"' keys{k} '": (-?\d[\d.eE+-]*)'], 'tokens');
    if isscalar(said.(keys{k})) && isnumeric(said.(keys{k})) && ~isempty(tokens)
      numbers = str2double([tokens{:}]);
      [~, nearest] = min(abs(numbers - said.(keys{k})));
      said.(keys{k}) = numbers(nearest);
    end
  end
end
